package systemd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// longestLine of the journal that is given whole.
const longestLine = 64 << 10

// Logs implements drivers.Logger: what journald has of the unit.
func (d *driver) Logs(ctx context.Context, lines int, follow bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := d.journal(ctx, lines, follow, func(line string) bool { return yield(line, nil) }); err != nil {
			yield("", fmt.Errorf("cannot read the journal of %s: %w", d.config.Unit, err))
		}
	}
}

func (d *driver) arguments(lines int, follow bool) []string {
	args := []string{"--no-pager", "-o", "short-iso", "-n", strconv.Itoa(max(lines, 0))}
	switch {
	case d.config.Scope == "system":
		args = append(args, "-u", d.config.Unit)
	case d.config.User == "":
		args = append(args, "--user-unit", d.config.Unit)
	default:
		args = append(args, "_SYSTEMD_USER_UNIT="+d.config.Unit)
	}
	if follow {
		args = append(args, "-f")
	}
	return args
}

func (d *driver) journal(ctx context.Context, lines int, follow bool, line func(string) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", d.arguments(lines, follow)...)
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("there is no journalctl on this host (is systemd installed?)")
	}
	if err != nil {
		return err
	}
	s := bufio.NewScanner(out)
	s.Buffer(make([]byte, 0, 4096), longestLine)
	some := false
	for s.Scan() {
		if strings.HasPrefix(s.Text(), "-- ") {
			continue // journalctl's own words: of boots, and that there is nothing
		}
		some = true
		if !line(s.Text()) {
			cancel()
			cmd.Wait()
			return nil
		}
	}
	wrong := s.Err()
	if wrong != nil {
		cancel() // nobody reads on
	}
	err = cmd.Wait()
	complaint := strings.TrimSpace(said.String())
	switch {
	case ctx.Err() != nil && wrong == nil:
		return nil // the reader has had enough
	case wrong != nil:
		return wrong
	case !some && strings.Contains(complaint, "No journal files"):
		return errors.New("there is no journal on this host (is systemd-journald running?)")
	case err != nil && complaint != "":
		return fmt.Errorf("%w: %s", err, complaint)
	}
	return err
}
