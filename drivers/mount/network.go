package mount

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// network says whether the file system is a server's: it has no block device, and each
// look into it may hang with the server.
func (c *Config) network() bool { return c.nfs() || c.Type == "cifs" }

func (c *Config) nfs() bool { return c.Type == "nfs" || c.Type == "nfs4" }

var (
	exportForm = drivers.Expression(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):/[^\s]*$`)
	shareForm  = drivers.Expression(`^//[^/\s]+/[^\s]+$`)
	// An fstab's own words mean nothing to the helpers, and some refuse them.
	tableWords = []string{"_netdev", "nofail", "noauto", "auto", "user", "users", "nouser", "owner", "group", "defaults"}
)

// overNetwork finds what does not go together of the arguments for servers.
func (c *Config) overNetwork() (found []spec.Problem) {
	add := func(field, summary, detail string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
	}
	switch {
	case c.nfs() && c.Device != "" && !exportForm().MatchString(c.Device):
		add("device", "device is no export of a server", "%q was given; write \"server:/export\", an IPv6 address in brackets.", c.Device)
	case c.Type == "cifs" && c.Device != "" && !shareForm().MatchString(c.Device):
		add("device", "device is no share of a server", "%q was given; write \"//server/share\".", c.Device)
	}
	if c.Type != "cifs" {
		for _, of := range [][2]string{{"username", c.Username}, {"password", c.Password}} {
			if of[1] != "" {
				add(of[0], of[0]+" is for cifs only", "Remove it; who may mount an NFS export is for the server to say, by address or Kerberos.")
			}
		}
		return found
	}
	if strings.ContainsAny(c.Username, ", \n") {
		add("username", "username with a comma or blank", "%q would be read as further options.", c.Username)
	}
	anonymous := false
	for _, o := range c.options() {
		word, value, _ := strings.Cut(o, "=")
		switch word {
		case "pass", "password", "password2":
			add("options", "option "+word+" would be shown", "Options are in the process list and the status; write password = secret(\"…\").")
		case "guest", "credentials", "cred", "user", "username":
			anonymous = true
		case "sec":
			anonymous = anonymous || strings.HasPrefix(value, "krb5") || value == "none"
		}
	}
	if c.Username == "" && !anonymous {
		add("username", "username is missing", "Write username and password, or options = [\"guest\"] or [\"sec=krb5\"].")
	}
	return found
}

// helper is the tool that mounts the type, and the Debian package it is in.
func (c *Config) helper() string {
	if c.nfs() {
		return "mount.nfs"
	}
	return "mount.cifs"
}

// networkLine is what the helper gets behind -o.
func (c *Config) networkLine() string {
	words := []string{"rw"}
	retry := false
	for _, o := range c.options() {
		if slices.Contains(tableWords, o) || strings.HasPrefix(o, "x-") {
			continue
		}
		retry = retry || strings.HasPrefix(o, "retry=")
		words = append(words, o)
	}
	switch {
	case c.Type == "cifs":
		if c.Username != "" {
			words = append(words, "username="+c.Username)
		}
		return strings.Join(words, ",")
	case c.Type == "nfs4":
		words = append(words, "vers=4")
	}
	if !retry {
		words = append(words, "retry=0") // the helper would try for two minutes; the restarts are ours
	}
	return strings.Join(words, ",")
}

// mountNetwork calls the helper itself, which mount(8) would call: so the password goes
// to it by a pipe and through nobody's hands.
func (d *driver) mountNetwork(ctx context.Context, c *Config, call *call) error {
	password := c.Password
	if password != "" && d.reveal != nil {
		var err error
		if password, err = d.reveal(password); err != nil {
			return fmt.Errorf("no password: %w", err)
		}
	}
	_, err := call.feed(ctx, password, c.helper(), c.Device, c.Path, "-o", c.networkLine())
	var refused *toolError
	if errors.As(err, &refused) {
		return fmt.Errorf("%w (%s)", err, c.advice(refused.words))
	}
	return err
}

// advice names what to do about a helper's words. They are those of nfs-utils 2.6 and
// cifs-utils 7, whose numbers are the kernel's errors.
func (c *Config) advice(words string) string {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(words, p) })
	}
	port := c.port()
	switch {
	case has("access denied by server", "Permission denied", "mount error(13)", "Operation not permitted", "mount error(1)"):
		if c.nfs() {
			return "does the server export it to this host? \"exportfs -v\" there shows it"
		}
		return "are username and password right, and may that user read the share?"
	case has("Failed to resolve", "could not resolve", "Name or service not known", "Temporary failure in name resolution"):
		return "does the server's name resolve here? \"getent hosts\" shows it"
	case has("Connection refused", "mount error(111)", "timed out", "mount error(110)", "No route to host", "mount error(113)", "Network is unreachable", "mount error(101)", "Host is down", "mount error(112)", "mount error(115)", "Unable to find suitable address"):
		return "is the server up, and its port " + port + " open from here?"
	case has("No such device", "mount error(19)", "unknown filesystem type", "cifs filesystem not supported"):
		module := strings.TrimSuffix(c.Type, "4")
		return "this kernel has no client for it; \"modprobe " + module + "\" loads one where it is built"
	case has("No such file or directory", "mount error(2)", "mount error(6)"):
		return "the server has nothing of that name: see what it exports or shares"
	case has("not supported", "mount error(95)", "mount error(22)", "incorrect mount option", "Invalid argument"):
		return "is the option, or the version that vers= asks for, one that server and kernel know?"
	case has("rpc.statd is not running"):
		return "start rpc.statd (Debian package nfs-common), use version 4, or write the option nolock"
	}
	return "the kernel's log may say more"
}

// sameExport compares a source of the mount table with the declared one.
func (c *Config) sameExport(kind, source string) bool {
	trimmed := func(s string) string {
		if !strings.HasSuffix(s, ":/") {
			s = strings.TrimRight(s, "/")
		}
		return s
	}
	if c.nfs() {
		return (kind == "nfs" || kind == "nfs4") && trimmed(source) == trimmed(c.Device)
	}
	return (kind == "cifs" || kind == "smb3") && strings.EqualFold(trimmed(source), trimmed(c.Device))
}

// port is where the server listens.
func (c *Config) port() string {
	for _, o := range c.options() {
		if p, is := strings.CutPrefix(o, "port="); is {
			return p
		}
	}
	if c.nfs() {
		return "2049"
	}
	return "445"
}

func (c *Config) server() string {
	if c.nfs() {
		host, _, _ := strings.Cut(c.Device, ":/")
		return strings.Trim(host, "[]")
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(c.Device, "//"), "/")
	return host
}

const knock = 2 * time.Second // for the server to take a connection

// patience bounds each way to unmount what waits for its server. A test shortens it.
var patience = 5 * time.Second

// answers tells whether the server takes a connection.
func (c *Config) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(c.server(), c.port()))
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// release unmounts a server's file system. Where the server does not answer, what waits
// for it is ended (umount -f), and then the mount is taken out of sight (umount -l), as
// far as declared. A server that answers is never treated so: its writes would be lost.
func (d *driver) release(ctx context.Context, c *Config, call *call) error {
	if c.answers(ctx) {
		return d.pop(ctx, c, call)
	}
	err := call.attempt(ctx, "umount", "--no-canonicalize", "--internal-only", c.Path)
	if err == nil || ctx.Err() != nil {
		return err
	}
	silent := fmt.Errorf("the server %s does not answer at port %s, and it can't be unmounted: %w", c.server(), c.port(), err)
	if c.Unmount == "wait" {
		return fmt.Errorf("%w (bring the server back, or write unmount = \"force\")", silent)
	}
	err = call.attempt(ctx, "umount", "--no-canonicalize", "--internal-only", "--force", c.Path)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if c.Unmount != "lazy" {
		if by := holders(ctx, c.Path); len(by) > 0 {
			return fmt.Errorf("%w, nor by force: %s (stop these first)", silent, names(by))
		}
		return fmt.Errorf("%w, nor by force (bring the server back, or write unmount = \"lazy\")", silent)
	}
	return call.attempt(ctx, "umount", "--no-canonicalize", "--internal-only", "--lazy", c.Path)
}

// attempt runs a tool for a while, and goes on without it where the kernel holds on to it.
func (c *call) attempt(ctx context.Context, tool string, args ...string) error {
	done := make(chan error, 1)
	go func() {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err := c.run(limited, tool, args...)
		done <- err
	}()
	last := time.NewTimer(patience + grace)
	defer last.Stop()
	select {
	case err := <-done:
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return fmt.Errorf("%s did not end within %s", tool, patience)
		}
		return err
	case <-last.C:
		return fmt.Errorf("%s does not end, and can't be interrupted", tool)
	}
}
