package agent

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// claiming is a kind whose newer versions say what they claim.
type claiming struct {
	Address string `hcl:"address" doc:"Any address."`
}

var claimsKnown atomic.Bool

func (c *claiming) Claims() []spec.Claim {
	if !claimsKnown.Load() {
		return nil
	}
	return []spec.Claim{{Sort: spec.ClaimAddress, Value: c.Address, Field: "address"}}
}

func vip(service, address string) string {
	return "service \"" + service + "\" {\n  vip \"v\" {\n    address = \"" + address + "\"\n  }\n}\n"
}

// gone takes a thing away while no agent looks.
func (s *site) gone(a spec.Address) {
	th := s.thing(a)
	th.mu.Lock()
	defer th.mu.Unlock()
	th.up = false
}

func claimingSite(t *testing.T, newer bool) (*site, *locked) {
	s, log := newSite(t), &locked{}
	s.log = log
	s.kinds = func(r *drivers.Registry) {
		drivers.DefineKind(r, "vip", "An address of the test.", func(o drivers.Opening, _ *claiming) (drivers.Driver, error) {
			return s.thing(o.Address), nil
		})
	}
	claimsKnown.Store(newer)
	return s, log
}

func TestWhatAnOlderVersionAcceptedGoesOnAfterAnUpgradeAndABoot(t *testing.T) {
	s, log := claimingSite(t, false)
	s.write("a.hcl", vip("a", "10.0.0.1")+vip("b", "10.0.0.1"))
	s.boot()
	s.untilSeen("both up", func() bool { return s.calls("a/vip.v") == "start" && s.calls("b/vip.v") == "start" })
	s.untilSpec("current", func(st SpecStatus) bool { return st.State == SpecCurrent })
	s.end()

	claimsKnown.Store(true)
	s.gone("b/vip.v") // as after a boot
	s.boot()
	s.untilSeen("b is started again", func() bool { return s.calls("b/vip.v") == "start start" })
	s.untilSpec("current, with what is found", func(st SpecStatus) bool {
		return st.State == SpecCurrent && strings.HasPrefix(firstError(st.Findings), "a.hcl:8: address 10.0.0.1 is a/vip.v's too")
	})
	if text := log.String(); strings.Count(text, "the next change has to mend it") != 1 || !strings.Contains(text, "SV0501") {
		t.Errorf("the log is\n%s", text)
	}

	s.write("a.hcl", vip("a", "10.0.0.1")+vip("b", "10.0.0.1")+vip("c", "10.0.0.3"))
	s.untilReload("nothing is changed: the files have mistakes: a.hcl:8: address 10.0.0.1")
	s.write("a.hcl", vip("a", "10.0.0.1")+vip("b", "10.0.0.2")+vip("c", "10.0.0.3"))
	s.untilReload("is in force: 3 services")
	if got := s.calls("a/vip.v"); got != "start" {
		t.Errorf("a was touched: %s", got)
	}
}

func TestWhatIsUndeclaredGoesOnThoughANewerVersionFindsAMistakeInIt(t *testing.T) {
	s, _ := claimingSite(t, false)
	s.write("a.hcl", vip("a", "10.0.0.1")+vip("b", "10.0.0.1"))
	s.boot()
	s.untilSeen("both up", func() bool { return s.calls("a/vip.v") == "start" && s.calls("b/vip.v") == "start" })
	s.untilSpec("current", func(st SpecStatus) bool { return st.State == SpecCurrent })
	s.write("a.hcl", vip("c", "10.0.0.3"))
	s.untilReload("is in force: 1 services")
	s.end()
	claimsKnown.Store(true)
	s.gone("b/vip.v")
	s.boot()
	s.untilSeen("b is started again", func() bool { return s.calls("b/vip.v") == "start start" })
}

func TestTheFirstStartWithACollisionStartsNothingAndSaysWhy(t *testing.T) {
	s, _ := claimingSite(t, true)
	s.write("a.hcl", vip("a", "10.0.0.1")+vip("b", "10.0.0.1"))
	s.boot()
	s.untilReload("nothing is changed: the files have mistakes: a.hcl:8: address 10.0.0.1 is a/vip.v's too")
	s.untilSpec("invalid", func(st SpecStatus) bool { return st.State == SpecInvalid })
	if a, b := s.calls("a/vip.v"), s.calls("b/vip.v"); a != "" || b != "" {
		t.Errorf("calls: a %q, b %q", a, b)
	}
}

func TestAWarningIsLoggedOnceUntilItIsAnother(t *testing.T) {
	s, log := claimingSite(t, false)
	s.write("a.hcl", "locals {\n  spare = 1\n}\n"+vip("a", "10.0.0.1"))
	s.boot()
	s.untilReload("revision 1 is in force")
	s.write("a.hcl", "# longer\nlocals {\n  spare = 1\n}\n"+vip("a", "10.0.0.2"))
	s.untilReload("revision 2 is in force")
	warned := func() int { return strings.Count(log.String(), "nothing reads local.spare") }
	if warned() != 1 {
		t.Errorf("the log is\n%s", log.String())
	}
	s.boot()
	s.untilSpec("current, with its warning", func(st SpecStatus) bool {
		return st.State == SpecCurrent && slices.ContainsFunc(st.Findings, func(f spec.Finding) bool { return f.Code == "SV0602" })
	})
	if warned() != 2 {
		t.Errorf("the log is\n%s", log.String())
	}
}
