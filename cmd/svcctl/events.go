package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

type eventsOptions struct {
	*program
	services []string
	follow   bool
	asJSON   bool
	since    uint64
}

func (p *program) eventsCommand() *cobra.Command {
	o := &eventsOptions{program: p}
	c := &cobra.Command{
		Use: "events [SERVICE…]", Short: "Show what happened, and with -f what happens",
		ValidArgsFunction: p.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.services = args
			return o.run(cmd.Context())
		},
	}
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what happens from now on")
	c.Flags().BoolVar(&o.asJSON, "json", false, "write one JSON object a line")
	c.Flags().Uint64Var(&o.since, "since", 0, "only events after the one with this ID")
	return c
}

func (o *eventsOptions) run(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	var names []string
	if len(o.services) > 0 {
		status, err := c.Status(ctx)
		if err != nil {
			return err
		}
		chosen, err := choose(status, o.services, false)
		if err != nil {
			return err
		}
		names = fullNames(chosen)
	}
	since := o.since
	if o.follow && since == 0 {
		since = 1 // from the oldest event that is kept
	}
	stream, err := c.Events(ctx, api.EventOptions{Since: since, Follow: o.follow, Services: names})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		e, err := stream.Next()
		switch {
		case api.Missed(err):
			if o.since > 0 {
				fmt.Fprintln(o.err, "svcctl:", err)
			}
			continue
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := o.print(e); err != nil {
			return err
		}
	}
}

func (o *eventsOptions) print(e api.Event) error {
	if o.asJSON {
		return json.NewEncoder(o.out).Encode(e)
	}
	_, err := fmt.Fprintln(o.out, eventLine(o.streams, e))
	return err
}

// eventLine is one event for people.
func eventLine(s *streams, e api.Event) string {
	subject := string(e.Address)
	if subject == "" {
		subject = e.Service
	}
	if e.Check != "" {
		subject += " check " + e.Check
	}
	parts := []string{e.Time.Local().Format("15:04:05.000")}
	if subject != "" {
		parts = append(parts, subject)
	} else {
		parts = append(parts, string(e.Kind))
	}
	if e.To != "" {
		parts = append(parts, s.paint(stateColour(e.To), e.To))
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Exit != nil && e.Message == "" {
		parts = append(parts, exitWords(e.Exit))
	}
	if e.PID != 0 {
		parts = append(parts, fmt.Sprintf("(pid %d)", e.PID))
	}
	if e.By != "" {
		parts = append(parts, "by "+e.By)
	}
	return strings.Join(parts, " ")
}

func exitWords(x *engine.Exit) string {
	if x.Signal != "" {
		return "(ended by " + x.Signal + ")"
	}
	return fmt.Sprintf("(exit code %d)", x.Code)
}
