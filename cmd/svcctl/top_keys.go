package main

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// topHelp is every key, for the screen that shows them.
var topHelp = [][2]string{
	{"up down, k j", "move; pgup pgdn, home end (g G) by more"},
	{"enter", "open a service; the log of a resource"},
	{"esc, backspace", "back"},
	{"s", "start the service, or the resource in an open one; run a task"},
	{"x", "stop it, and it stays off; end the run of a task"},
	{"r", "restart it"},
	{"f", "freeze the service, or thaw it"},
	{"c", "clear: forget past failures, so that it is tried again"},
	{"l", "log of the resource"},
	{"e", "events"},
	{"/", "show only services whose name or state has a text in it"},
	{"?", "this page"},
	{"q, ctrl+c", "quit; nothing is changed by it"},
}

// paste takes what was pasted: text for a prompt, never a row of commands.
func (t *top) paste(text string) {
	switch {
	case t.prompt != nil && t.prompt.reason:
		t.prompt.text = extend(t.prompt.text, text)
	case t.prompt == nil && t.typing:
		t.filter = extend(t.filter, text)
		t.rows[screenServices].at = 0
	}
}

func (t *top) key(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "ctrl+c" {
		return tea.Quit
	}
	switch {
	case t.prompt != nil:
		return t.answer(k)
	case t.typing:
		t.type_(k)
		return nil
	}
	t.note = ""
	switch key := k.String(); key {
	case "q":
		return tea.Quit
	case "?":
		t.open(screenHelp)
	case "e":
		t.open(screenEvents)
	case "esc", "backspace", "left", "h":
		t.back()
	case "/":
		if t.screen == screenServices {
			t.typing = true
		}
	case "enter", "right":
		t.enter()
	case "l":
		t.openLog()
	case "s":
		t.ask(engine.CommandStart)
	case "x":
		t.ask(engine.CommandStop)
	case "r":
		t.ask(engine.CommandRestart)
	case "c":
		t.ask(engine.CommandClear)
	case "f":
		if s := t.chosenService(); s != nil && s.Frozen {
			t.ask(engine.CommandThaw)
		} else {
			t.ask(engine.CommandFreeze)
		}
	default:
		t.move(key)
	}
	return nil
}

// move moves the cursor of the screen, or the view of one without.
func (t *top) move(key string) {
	c, last, page := &t.rows[t.screen], t.length()-1, t.body()
	switch key {
	case "up", "k":
		c.at--
	case "down", "j":
		c.at++
	case "pgup", "ctrl+b":
		c.at -= page
	case "pgdown", "ctrl+f", "space":
		c.at += page
	case "home", "g":
		c.at = 0
	case "end", "G":
		c.at = last
	}
	c.at = max(0, min(c.at, last))
	c.tail = c.at == last && (t.screen == screenEvents || t.screen == screenLog)
}

// length is how many lines the screen's list has.
func (t *top) length() int {
	switch t.screen {
	case screenServices:
		return len(t.services())
	case screenService:
		return len(t.parts())
	case screenEvents:
		return len(t.events)
	case screenLog:
		return len(t.lines)
	case screenHelp:
		return len(topHelp)
	default:
		panic(fmt.Sprintf("internal error: no such screen: %d", t.screen))
	}
}

func (t *top) open(s screen) {
	if t.screen == s {
		return
	}
	t.from = append(t.from, t.screen)
	if len(t.from) > 8 {
		t.from = t.from[1:]
	}
	t.screen = s
}

func (t *top) back() {
	if t.screen == screenLog {
		t.feeder.noLog()
		t.log, t.lines = "", nil
	}
	switch n := len(t.from); {
	case n > 0:
		t.screen, t.from = t.from[n-1], t.from[:n-1]
	case t.filter != "":
		t.filter = ""
	default:
		t.screen = screenServices
	}
}

func (t *top) enter() {
	switch t.screen {
	case screenServices:
		if s := t.chosenService(); s != nil {
			t.service = s.FullName()
			t.rows[screenService] = cursor{}
			t.open(screenService)
		}
	case screenService:
		t.openLog()
	case screenEvents, screenLog, screenHelp:
	default:
		panic(fmt.Sprintf("internal error: no such screen: %d", t.screen))
	}
}

// openLog shows the output of the resource under the cursor; of a service the first
// that is no check.
func (t *top) openLog() {
	if t.screen == screenServices {
		t.enter()
		return // several resources: the next key chooses
	}
	p, ok := t.chosenPart()
	if t.screen != screenService || !ok {
		return
	}
	t.log, t.lines = p.address(), nil
	t.rows[screenLog] = cursor{tail: true}
	t.open(screenLog)
	t.feeder.log(t.log)
}

// ask makes the prompt of a change.
func (t *top) ask(verb engine.CommandVerb) {
	s := t.chosenService()
	if s == nil || t.screen != screenServices && t.screen != screenService {
		return
	}
	p := &prompt{verb: verb, target: s.FullName(), body: api.CommandBody{Services: []string{s.FullName()}}}
	switch verb {
	case engine.CommandStart, engine.CommandStop, engine.CommandRestart:
		if part, ok := t.chosenPart(); ok && t.screen == screenService {
			p.target = string(part.address())
			if part.task != nil && verb == engine.CommandRestart {
				t.note = "a task is run by s and ended by x"
				return
			}
			if part.task != nil {
				p.verb = map[engine.CommandVerb]engine.CommandVerb{engine.CommandStart: engine.CommandRun, engine.CommandStop: engine.CommandHalt}[verb]
			}
			p.body.Resources = []string{spec.Address(p.target).Local()}
		}
	case engine.CommandFreeze:
		p.reason = true
	case engine.CommandThaw, engine.CommandClear:
	default:
		panic("internal error: top has no key for " + string(verb))
	}
	t.prompt = p
}

// answer takes a key for the prompt: yes, no, or a letter of the reason.
func (t *top) answer(k tea.KeyPressMsg) tea.Cmd {
	p := t.prompt
	if p.reason {
		switch k.String() {
		case "enter":
			t.prompt = nil
			p.body.Reason = p.text
			return t.order(p)
		case "esc":
			t.prompt, t.note = nil, fmt.Sprintf("%s %s: left as it is", p.verb, p.target)
		default:
			p.text = edit(p.text, k)
		}
		return nil
	}
	t.prompt = nil
	if k.String() == "y" || k.String() == "Y" {
		return t.order(p)
	}
	t.note = fmt.Sprintf("%s %s: left as it is", p.verb, p.target)
	return nil
}

// type_ takes a key for the filter.
func (t *top) type_(k tea.KeyPressMsg) {
	switch k.String() {
	case "enter":
		t.typing = false
	case "esc":
		t.typing, t.filter = false, ""
	default:
		t.filter = edit(t.filter, k)
	}
	t.rows[screenServices].at = 0
}

// edit is a line of input, changed at its end.
func edit(text string, k tea.KeyPressMsg) string {
	switch k.String() {
	case "backspace":
		if r := []rune(text); len(r) > 0 {
			text = string(r[:len(r)-1])
		}
		return text
	case "ctrl+u":
		return ""
	}
	return extend(text, k.Text)
}

// extend puts more behind a line of input, as far as there is room.
func extend(text, more string) string {
	for _, r := range plain(more) {
		if len(text) < 200 {
			text += string(r)
		}
	}
	return text
}
