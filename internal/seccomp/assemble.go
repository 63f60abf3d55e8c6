package seccomp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets into what the kernel hands to a filter (struct seccomp_data). All
// architectures that we know are little-endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

var audit = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// stretch is a range of numbers that begins at one and ends before the next stretch.
type stretch struct {
	from uint32
	code []bpf.Instruction // ends with a return
}

// assemble lays the rules out as a search tree over the numbers.
func assemble(arch string, rules map[uint32][]rule, fallback uint32, numbers map[string]uint32) ([]bpf.RawInstruction, error) {
	ret := func(v uint32) []bpf.Instruction { return []bpf.Instruction{bpf.RetConstant{Val: v}} }
	stretches := []stretch{{0, ret(fallback)}}
	add := func(from uint32, code []bpf.Instruction) {
		last := &stretches[len(stretches)-1]
		switch {
		case last.from == from:
			last.code = code
		case len(last.code) == 1 && len(code) == 1 && last.code[0] == code[0]:
		default:
			stretches = append(stretches, stretch{from, code})
		}
	}
	for _, n := range slices.Sorted(maps.Keys(rules)) {
		code, err := decide(rules[n], fallback)
		if err != nil {
			return nil, err
		}
		add(n, code)
		add(n+1, ret(fallback))
	}
	if fallback&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_ERRNO {
		// Of a call that is newer than this program a C library must hear that it is
		// not there, so that it takes an older one.
		newest := slices.Max(slices.Collect(maps.Values(numbers)))
		add(newest+1, ret(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
	}
	if arch == "amd64" { // the calls of x32, by which what a profile lists could be done under another number
		x32 := fallback
		if action := fallback & unix.SECCOMP_RET_ACTION_FULL; action == unix.SECCOMP_RET_ALLOW || action == unix.SECCOMP_RET_LOG {
			x32 = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		}
		add(1<<30, ret(x32))
	}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: audit[arch], SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}, // a program of another architecture
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	program = append(program, tree(stretches)...)
	if len(program) > 4096 {
		return nil, fmt.Errorf("cannot use the seccomp profile: it makes %d instructions, the kernel takes 4096", len(program))
	}
	return bpf.Assemble(program)
}

// tree finds the stretch of a number in as many steps as halving takes.
func tree(s []stretch) []bpf.Instruction {
	if len(s) == 1 {
		return s[0].code
	}
	middle := len(s) / 2
	lower, upper := tree(s[:middle]), tree(s[middle:])
	var head []bpf.Instruction
	if len(lower) <= 255 {
		head = []bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: s[middle].from, SkipTrue: uint8(len(lower))}}
	} else {
		head = []bpf.Instruction{
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: s[middle].from, SkipFalse: 1},
			bpf.Jump{Skip: uint32(len(lower))},
		}
	}
	return slices.Concat(head, lower, upper)
}

// decide is the code of one system call: its conditions in their order, and what holds
// without one last.
func decide(rules []rule, fallback uint32) ([]bpf.Instruction, error) {
	var code []bpf.Instruction
	end := fallback
	for _, r := range slices.Backward(rules) {
		if len(r.conditions) == 0 {
			end = r.action // of several the first counts
		}
	}
	for _, r := range rules {
		if len(r.conditions) == 0 {
			continue
		}
		var test []bpf.Instruction
		for _, c := range slices.Backward(r.conditions) {
			one, err := condition(c, len(test)+1) // past the rest, and the return behind it
			if err != nil {
				return nil, err
			}
			test = append(one, test...)
		}
		code = append(append(code, test...), bpf.RetConstant{Val: r.action})
	}
	return append(code, bpf.RetConstant{Val: end}), nil
}

// condition falls through where it holds, and skips rest more instructions where not.
func condition(c specs.LinuxSeccompArg, rest int) ([]bpf.Instruction, error) {
	if c.Index > 5 {
		return nil, fmt.Errorf("cannot use the seccomp profile: a system call has no argument %d (write 0 to 5)", c.Index)
	}
	at := offArgs + 8*uint32(c.Index)
	low, high := bpf.LoadAbsolute{Off: at, Size: 4}, bpf.LoadAbsolute{Off: at + 4, Size: 4}
	v := [2]uint32{uint32(c.Value), uint32(c.Value >> 32)}
	fail := func(behind int) uint8 { return uint8(behind + rest) } // at most 6 conditions of 6: below 256
	switch c.Op {
	case specs.OpEqualTo:
		return []bpf.Instruction{
			high, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v[1], SkipFalse: fail(2)},
			low, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v[0], SkipFalse: fail(0)},
		}, nil
	case specs.OpNotEqual:
		return []bpf.Instruction{
			high, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v[1], SkipFalse: 2},
			low, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v[0], SkipTrue: fail(0)},
		}, nil
	case specs.OpGreaterThan, specs.OpGreaterEqual:
		test := bpf.JumpGreaterThan
		if c.Op == specs.OpGreaterEqual {
			test = bpf.JumpGreaterOrEqual
		}
		return []bpf.Instruction{
			high, bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: v[1], SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: v[1], SkipFalse: fail(2)},
			low, bpf.JumpIf{Cond: test, Val: v[0], SkipFalse: fail(0)},
		}, nil
	case specs.OpLessThan, specs.OpLessEqual:
		test := bpf.JumpGreaterOrEqual
		if c.Op == specs.OpLessEqual {
			test = bpf.JumpGreaterThan
		}
		return []bpf.Instruction{
			high, bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: v[1], SkipTrue: fail(3)},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: v[1], SkipFalse: 2},
			low, bpf.JumpIf{Cond: test, Val: v[0], SkipTrue: fail(0)},
		}, nil
	case specs.OpMaskedEqual: // the value is the mask
		return []bpf.Instruction{
			high, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: v[1]},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(c.ValueTwo >> 32), SkipFalse: fail(3)},
			low, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: v[0]},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(c.ValueTwo), SkipFalse: fail(0)},
		}, nil
	default:
		return nil, fmt.Errorf("cannot use the seccomp profile: there is no comparison %q (SCMP_CMP_EQ is the usual one)", c.Op)
	}
}
