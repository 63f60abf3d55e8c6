package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/agent"
	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/keeper"
	"github.com/svcctl/svcctl/metrics"
	"github.com/svcctl/svcctl/spec"
)

type agentOptions struct {
	config     string
	stopOnExit bool
	keeperUnit bool
	log        io.Writer
}

// agentCommands are those that run a part of the system instead of asking it.
func (p *program) agentCommands() []*cobra.Command { return []*cobra.Command{p.agentCommand()} }

func (p *program) agentCommand() *cobra.Command {
	o := agentOptions{log: p.err}
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run the agent of this node",
		Long: "Run the agent of this node: it starts what the files declare, checks it and heals it.\n" +
			"Ended by SIGTERM or SIGINT it leaves its services running, and the next agent adopts them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAgent(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.config, "config", agent.DefaultConfigPath, "the agent's configuration")
	cmd.Flags().BoolVar(&o.stopOnExit, "stop-on-exit", false, "stop every service, in order, before the agent ends")
	cmd.Flags().BoolVar(&o.keeperUnit, "keeper-unit", false, "the keeper is a unit of its own: wait for it, never start one")
	return cmd
}

// runAgent builds the registry, the agent, the API and the metrics, and ends them
// together.
func runAgent(ctx context.Context, o agentOptions) error {
	config, err := agent.LoadConfig(o.config)
	if err != nil {
		return err
	}
	limitMemory()
	scrubber := agent.NewScrubber()
	log := newLog(config.Logs, scrubber.Writer(o.log))
	holds := keeper.Options{RunDir: config.State.Run, LogDir: config.LogDir()}
	if !o.keeperUnit {
		holds.Binary = keeperBinary()
	}
	keep, err := keeper.Connect(ctx, holds)
	if err != nil {
		return err
	}
	defer keep.Close()
	renewKeeper(ctx, keep, log)
	feed := api.NewFeed(api.FeedSize, time.Now())
	recorder := metrics.NewRecorder()
	a, err := agent.New(agent.Options{
		Config: config, Kinds: newKinds(keep), Log: log, Scrubber: scrubber, StopOnExit: o.stopOnExit,
		Observer: agent.Observer{
			Call: recorder.ObserveAction,
			Check: func(_ string, _ spec.Address, _, kind string, took time.Duration, _ bool) {
				recorder.ObserveCheck(kind, took)
			},
			Load: func(ok bool, _ time.Duration) { recorder.ObserveReload(ok) },
			Ran: func(task spec.Address, run *engine.Run) {
				if run == nil {
					recorder.ForgetTask(task)
				} else {
					recorder.ObserveRun(task, run.Result)
				}
			},
			Fact: feed.Publish,
		},
	})
	if err != nil {
		return err
	}
	err = serveAgent(ctx, &remoteAgent{Agent: a, config: config}, feed, recorder, log)
	if o.stopOnExit {
		last, cancel := context.WithTimeout(context.Background(), retireWithin)
		defer cancel()
		if left := keep.Retire(last); left != nil {
			log.Warn("the keeper stays", "why", left)
		}
	}
	return err
}

// retireWithin bounds the wait for the end of a keeper that holds nothing any more.
const retireWithin = 5 * time.Second

func serveAgent(ctx context.Context, a *remoteAgent, feed *api.Feed, recorder *metrics.Recorder, log hclog.Logger) error {
	config := a.config
	exposition := metrics.Handler(metricsSource{a}, recorder, version())
	path := filepath.Join(config.State.Run, "agent.sock")
	socket, err := api.Listen(path)
	if err != nil {
		return err
	}
	var scrape net.Listener
	if config.Metrics.Listen != "" {
		if scrape, err = net.Listen("tcp", config.Metrics.Listen); err != nil {
			return errors.Join(fmt.Errorf("cannot serve metrics: %w (is metrics.listen in %s taken?)", err, config.Path), socket.Close())
		}
	}
	log.Info("agent started", "node", config.Node.Name, "services", config.Services.Dir, "socket", path, "version", version())
	serving, stop := context.WithCancel(context.Background())
	var servers sync.WaitGroup
	servers.Go(func() {
		s := &api.Server{Agent: a, Feed: feed, Metrics: exposition}
		if err := s.Serve(serving, socket); err != nil && serving.Err() == nil {
			log.Error("the API ended", "error", err)
		}
	})
	if scrape != nil {
		servers.Go(func() { serveMetrics(serving, scrape, exposition, log) })
	}
	reread := make(chan os.Signal, 1)
	signal.Notify(reread, syscall.SIGHUP) // what administrators send to make a daemon read its files again
	servers.Go(func() {
		for {
			select {
			case <-reread:
				a.Reread(serving)
			case <-serving.Done():
				return
			}
		}
	})
	servers.Go(func() { reportTo(serving, a.Agent, log) })
	err = a.Run(ctx)
	signal.Stop(reread)
	feed.Close()
	stop()
	servers.Wait()
	log.Info("agent ended")
	return err
}

func serveMetrics(ctx context.Context, l net.Listener, h http.Handler, log hclog.Logger) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("metrics ended", "error", err)
	}
}

// limitMemory trades a little CPU for a small agent: it shares its node with what it
// supervises. GOGC and GOMEMLIMIT in the environment still win.
func limitMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func newLog(c agent.LogsConfig, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "svcctl", Level: hclog.LevelFromString(c.Level), Output: w, JSONFormat: c.Format == "json"})
}

// apiFindings are findings in the shape that the API sends.
func apiFindings(findings spec.Findings) []api.Finding {
	out := make([]api.Finding, 0, len(findings))
	for _, f := range findings {
		var text strings.Builder
		spec.Findings{f}.WriteText(&text, false)
		out = append(out, api.Finding{Code: f.Code, Severity: string(f.Severity), File: f.File,
			Line: f.Range.Start.Line, Column: f.Range.Start.Column, Summary: f.Summary, Detail: f.Detail, Text: text.String()})
	}
	return out
}

// remoteAgent is the agent in the shape that the API wants.
type remoteAgent struct {
	*agent.Agent
	config agent.Config
}

func (a *remoteAgent) Command(ctx context.Context, c engine.Command) error {
	return unavailable(a.Agent.Command(ctx, c))
}

func (a *remoteAgent) ShutDown(ctx context.Context, by string) error {
	return unavailable(a.Agent.ShutDown(ctx, by))
}

func (a *remoteAgent) Resume(ctx context.Context, by string) error {
	return unavailable(a.Agent.Resume(ctx, by))
}

// unavailable marks what an agent answers that is ending.
func unavailable(err error) error {
	if errors.Is(err, agent.ErrEnded) {
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	return err
}

func (a *remoteAgent) Spec(context.Context) (api.SpecStatus, error) {
	st := a.Agent.Spec()
	return api.SpecStatus{
		Cluster: a.config.Cluster.Name, Revision: uint64(st.Revision.Number), Digest: st.Revision.Digest,
		State: api.SpecState(st.State), Valid: st.State != agent.SpecInvalid, Since: st.Revision.Time,
		Directory: st.Directory, Message: st.Message, Findings: apiFindings(st.Findings), Store: st.Store,
	}, nil
}

func (a *remoteAgent) Apply(ctx context.Context, files map[string][]byte, o api.ApplyOptions) (api.ApplyResult, error) {
	out, err := a.Agent.Apply(ctx, files, o.Prune, o.By)
	return api.ApplyResult{Applied: out.Accepted, Changed: out.Changed, Revision: uint64(out.Revision.Number),
		Digest: out.Revision.Digest, Findings: apiFindings(out.Findings)}, err
}

func (a *remoteAgent) Plan(ctx context.Context, files map[string][]byte) (api.Plan, error) {
	waves, findings, err := a.Agent.Plan(ctx, files)
	plan := api.Plan{Waves: make([][]api.Step, 0, len(waves)), Findings: apiFindings(findings)}
	for _, w := range waves {
		steps := make([]api.Step, 0, len(w))
		for _, m := range w {
			steps = append(steps, api.Step{Verb: m.Verb, Address: m.Address})
		}
		plan.Waves = append(plan.Waves, steps)
	}
	return plan, err
}

func (a *remoteAgent) Measured(ctx context.Context) (api.Measured, error) {
	return a.Agent.Measured(ctx)
}

func (a *remoteAgent) Logs(ctx context.Context, address spec.Address, lines int, follow bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for line, err := range a.Agent.Logs(ctx, address, lines, follow) {
			if errors.Is(err, os.ErrNotExist) {
				err = fmt.Errorf("%w: %s has written no output", api.ErrNotFound, address)
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// metricsSource is the agent in the shape that metrics wants.
type metricsSource struct{ a *remoteAgent }

func (m metricsSource) Snapshot(ctx context.Context) (*engine.Snapshot, error) {
	return m.a.Snapshot(ctx)
}

func (m metricsSource) Measured(ctx context.Context) (metrics.Measured, error) {
	measured, err := m.a.Agent.Measured(ctx)
	out := make(metrics.Measured, len(measured))
	for address, checks := range measured {
		out[address] = make(map[string][]metrics.Value, len(checks))
		for check, values := range checks {
			for _, p := range values {
				out[address][check] = append(out[address][check], metrics.Value(p))
			}
		}
	}
	return out, err
}

func (m metricsSource) Spec() metrics.Spec {
	st := m.a.Agent.Spec()
	return metrics.Spec{Valid: st.State != agent.SpecInvalid, Revision: uint64(st.Revision.Number), Reloaded: st.Revision.Time}
}
