package app

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"

	"github.com/svcctl/svcctl/keeper"
)

// identity is who an app runs as.
type identity struct {
	credential *keeper.Credential // nil: the agent's own
	name       string
	home       string
}

// identify resolves names at every start: users come and go while an agent runs.
func (c *Program) identify() (identity, error) {
	u, err := lookUser(c.User)
	if err != nil {
		return identity{}, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return identity{}, fmt.Errorf("cannot run as %s: its number %q is no number", u.Username, u.Uid)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return identity{}, fmt.Errorf("cannot run as %s: its group %q is no number", u.Username, u.Gid)
	}
	if c.Group != "" {
		g, err := lookGroup(c.Group)
		if err != nil {
			return identity{}, err
		}
		gid = uint64(g)
	}
	id := identity{name: u.Username, home: u.HomeDir}
	own := os.Geteuid()
	if c.User == "" && c.Group == "" && c.Groups == nil {
		return id, nil
	}
	if own != 0 {
		// What we are already needs no right.
		if int(uid) != own {
			return identity{}, fmt.Errorf("cannot run as user %s: the agent runs as user %d (run it as root, or leave user out)", u.Username, own)
		}
		if int(gid) != os.Getegid() {
			return identity{}, fmt.Errorf("cannot run as group %d: the agent runs as group %d (run it as root, or leave group out)", gid, os.Getegid())
		}
		have, err := os.Getgroups()
		if err != nil {
			return identity{}, fmt.Errorf("cannot read the agent's groups: %w", err)
		}
		for _, name := range c.Groups {
			g, err := lookGroup(name)
			if err != nil {
				return identity{}, err
			}
			if !slices.Contains(have, int(g)) && int(g) != os.Getegid() {
				return identity{}, fmt.Errorf("cannot run in group %s: the agent is not in it (run it as root, or leave it out of groups)", name)
			}
		}
		return id, nil
	}
	id.credential = &keeper.Credential{UID: uint32(uid), GID: uint32(gid)}
	if id.credential.Groups, err = c.supplementary(u); err != nil {
		return identity{}, err
	}
	return id, nil
}

func (c *Program) supplementary(u *user.User) (out []uint32, err error) {
	if c.Groups != nil {
		for _, name := range c.Groups {
			g, err := lookGroup(name)
			if err != nil {
				return nil, err
			}
			out = append(out, g)
		}
		return out, nil
	}
	ids, err := u.GroupIds()
	if err != nil { // a user by number who has no entry has no groups either
		return nil, nil //nolint:nilerr
	}
	for _, id := range ids {
		if g, err := strconv.ParseUint(id, 10, 32); err == nil {
			out = append(out, uint32(g))
		}
	}
	return out, nil
}

func lookUser(name string) (*user.User, error) {
	if name == "" {
		uid := strconv.Itoa(os.Geteuid())
		u, err := user.LookupId(uid)
		if err != nil { // a container's user may have no entry
			return &user.User{Uid: uid, Gid: strconv.Itoa(os.Getegid()), Username: uid, HomeDir: "/"}, nil
		}
		return u, nil
	}
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	if n, nerr := strconv.ParseUint(name, 10, 32); nerr == nil {
		if u, err = user.LookupId(name); err == nil {
			return u, nil
		}
		id := strconv.FormatUint(n, 10)
		return &user.User{Uid: id, Gid: id, Username: id, HomeDir: "/"}, nil
	}
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		return nil, fmt.Errorf("cannot run as user %s: there is no such user (useradd --system %s, or install the package that makes it)", name, name)
	}
	return nil, fmt.Errorf("cannot run as user %s: %w (does the user directory answer?)", name, err)
}

func lookGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		name = g.Gid
	}
	n, nerr := strconv.ParseUint(name, 10, 32)
	if nerr == nil {
		return uint32(n), nil
	}
	return 0, fmt.Errorf("cannot run in group %s: there is no such group (groupadd --system %s)", name, name)
}
