package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// replacePatience bounds what a change of the keeper's program may take.
const replacePatience = 20 * time.Second

// Keeper is what the keeper said of itself when it was last reached.
func (c *Client) Keeper() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keeper
}

// Replace has the keeper take up the program that lies in its own one's place by now, and
// returns once that program answers. No process ends, and nothing that it says is lost. On
// an error the keeper goes on as it is.
func (c *Client) Replace(ctx context.Context) error {
	before := c.Keeper().Moved
	a, err := c.call(ctx, &frame{Op: opReplace})
	if err != nil {
		return err
	}
	if a.Op != opMoving {
		return errors.New("cannot see the keeper take up its new program: it answers, and goes on (see its log)")
	}
	if _, err := c.List(ctx); err != nil {
		return err
	}
	if c.Keeper().Moved == before {
		return errors.New("cannot take up the keeper's new program: the kernel did not run it, and the keeper goes on with its old one (see the keeper's log)")
	}
	return nil
}

// tooOld refuses what a keeper of an older program would do only in part, and tell nobody.
func tooOld(f *frame, missing string, features []string) error {
	help := "stop what it runs, and it ends by itself: a keeper of this version takes its place"
	if slices.Contains(features, featureReplace) {
		help = "systemctl reload svcctl-keeper, or restart the agent: it takes up its new program, and nothing stops"
	}
	what := "cannot give the keeper a new program"
	if f.Start != nil {
		what = "cannot start " + f.Start.ID
	}
	return fmt.Errorf("%s: the keeper that runs is older than this svcctl and knows no %s (%s)", what, missing, help)
}
