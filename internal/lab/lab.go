package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Lab is a set of nodes on one switch, kept in a folder: it outlives the program that
// made it, and any root user's next command finds it there. A node is a host with a
// network, processes, mounts, a name, a boot id and a disk of its own; its programs are
// this machine's, seen through an overlay. Not safe for concurrent use.
type Lab struct {
	Dir   string `json:"-"`
	Name  string // begins the names of interfaces and control groups
	Nodes []*Node
	Cuts  []Cut // faults of the network that are in force
}

// Node is one host of a lab.
type Node struct {
	Name    string
	Address string // without prefix length
	PID     int    // of its init, as this machine sees it; 0: it is off
	Started uint64 // when that began, in the kernel's ticks since boot: a PID is used again
}

// Options make a lab.
type Options struct {
	Nodes   int               // 1 to MaxNodes
	Network string            // the first three numbers of its addresses; "": 10.213.0
	Files   map[string]string // from the path on a node to the one on this machine, copied onto every disk
}

// MaxNodes bounds a lab.
const MaxNodes = 9

// DefaultDir is where a lab is kept that no other folder was named for.
const DefaultDir = "/var/tmp/svcctl-lab"

// ErrNone: there is no lab in the folder.
var ErrNone = errors.New("there is no lab")

var labName = regexp.MustCompile(`^[a-z][a-z0-9]{0,5}$`)

// New makes a lab in a folder that does not exist yet. Its nodes are off.
func New(dir, name string, o Options) (l *Lab, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("cannot make a lab: it needs root, for namespaces, mounts and interfaces")
	}
	if !labName.MatchString(name) {
		return nil, fmt.Errorf("cannot make a lab called %q: at most six small letters and digits", name)
	}
	if o.Nodes < 1 || o.Nodes > MaxNodes {
		return nil, fmt.Errorf("cannot make a lab of %d nodes: 1 to %d", o.Nodes, MaxNodes)
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("cannot make a lab in %s: it exists (svcctl lab down ends the lab that is there)", dir)
	} else if err != nil {
		return nil, fmt.Errorf("cannot make a lab: %w", err)
	}
	l = &Lab{Dir: dir, Name: name}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Remove())
		}
	}()
	if o.Network == "" {
		o.Network = "10.213.0"
	}
	for i := range o.Nodes {
		l.Nodes = append(l.Nodes, &Node{Name: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("%s.%d", o.Network, 11+i)})
	}
	if err := l.save(); err != nil {
		return nil, err
	}
	if err := l.plug(o.Network); err != nil {
		return nil, err
	}
	for _, n := range l.Nodes {
		if err := l.format(n, o.Files); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Open finds the lab in a folder.
func Open(dir string) (*Lab, error) {
	b, err := os.ReadFile(filepath.Join(dir, "lab.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s (svcctl lab up makes one)", ErrNone, dir)
	}
	l := &Lab{Dir: dir}
	if err == nil {
		err = json.Unmarshal(b, l)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the lab in %s: %w", dir, err)
	}
	for _, n := range l.Nodes {
		if n.PID != 0 && startOf(n.PID) != n.Started {
			n.PID, n.Started = 0, 0
		}
	}
	return l, nil
}

func (l *Lab) save() error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		panic("internal error: " + err.Error())
	}
	path := filepath.Join(l.Dir, "lab.json")
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("cannot keep the lab: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("cannot keep the lab: %w", err)
	}
	return nil
}

// Node finds a node by its name.
func (l *Lab) Node(name string) (*Node, error) {
	names := make([]string, len(l.Nodes))
	for i, n := range l.Nodes {
		if n.Name == name {
			return n, nil
		}
		names[i] = n.Name
	}
	return nil, fmt.Errorf("the lab has no node %q (it has %s)", name, strings.Join(names, ", "))
}

// Remove takes the lab away, its disks with it.
func (l *Lab) Remove() (err error) {
	for _, n := range l.Nodes {
		err = errors.Join(err, l.Crash(n))
		if e := os.Remove(l.group(n)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, removeGroups(l.group(n)))
		}
	}
	err = errors.Join(err, l.unplug())
	if err != nil {
		return fmt.Errorf("cannot take the lab away: %w", err)
	}
	return os.RemoveAll(l.Dir)
}

// removeGroups removes a control group with those below it, the innermost first.
func removeGroups(dir string) error {
	var all []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return nil // what vanishes meanwhile is what is wanted
	})
	for _, path := range slices.Backward(all) {
		if err := syscall.Rmdir(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove the control group %s: %w", path, err)
		}
	}
	return nil
}

func (l *Lab) path(n *Node, elem ...string) string {
	return filepath.Join(append([]string{l.Dir, n.Name}, elem...)...)
}

// group is the control group of all of a node's processes.
func (l *Lab) group(n *Node) string {
	root, err := unifiedGroups()
	if err != nil {
		root = "/sys/fs/cgroup"
	}
	return filepath.Join(root, "svcctl-"+l.Name+"-"+n.Name)
}

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
