package engine

import "fmt"

func eventWords(ev Event) string {
	switch ev := ev.(type) {
	case Reload:
		words := fmt.Sprintf("reload prune=%v", ev.Prune)
		for _, n := range ev.Spec.Names {
			s := ev.Spec.Services[n]
			words += fmt.Sprintf("\n    %s %s requires=%v %s %p", n, s.Orchestrate, s.Requires, s.OnFailure, s)
			for _, r := range s.Resources {
				words += fmt.Sprintf("\n      %s %v after=%v opt=%v standby=%v disabled=%v monitor=%v ready=%v attempts=%d %s", r.Address, r.Config, r.After, r.Optional, r.Standby, r.Disabled, r.Monitor, r.ReadyByChecks, r.Restart.Attempts, r.OnStuck)
			}
			for _, r := range s.Tasks {
				words += fmt.Sprintf("\n      %s %v after=%v disabled=%v %s %+v", r.Address, r.Config, r.After, r.Disabled, r.OnStuck, *r.Task)
			}
		}
		return words
	case Done:
		return fmt.Sprintf("done %d %s %v", ev.Op, ev.Status.Seen, ev.Err)
	default:
		return fmt.Sprintf("%T %+v", ev, ev)
	}
}

func actionWords(a Action) string {
	switch a := a.(type) {
	case Do:
		return fmt.Sprintf("do %d %s %s %v epoch %d not after %v", a.Op, a.Verb, a.Resource.Address, a.Resource.Config, a.Epoch, a.NotAfter)
	case Forget:
		return "forget " + string(a.Resource.Address)
	case Record:
		f := a.Fact
		f.Exit = nil // a pointer prints as an address
		return fmt.Sprintf("fact %+v", f)
	case Ran:
		run := a.Run
		run.Exit = nil
		return fmt.Sprintf("ran %s %+v", a.Address, run)
	case RememberTask:
		if a.Memory == nil {
			return "remember nothing of " + string(a.Address)
		}
		words := fmt.Sprintf("remember %s through %s", a.Address, a.Memory.Through)
		for _, run := range []*Run{a.Memory.Running, a.Memory.Last} {
			if run != nil {
				words += fmt.Sprintf(" %s %s %s", run.Started, run.Result, run.Why)
			}
		}
		return words
	case Remember:
		if a.Intent == nil {
			return "remember nothing of " + a.Service
		}
		return "remember " + a.Service + " " + intentWords(a.Intent)
	default:
		return fmt.Sprintf("%T %+v", a, a)
	}
}
