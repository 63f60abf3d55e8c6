package main

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/mattn/go-runewidth"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

const (
	topLeast      = 40 // columns
	topLeastLines = 8
	topFrame      = 5 // lines that are no list: two of the head, the titles, two of the foot
)

// body is how many lines of a list fit.
func (t *top) body() int { return max(1, t.height-topFrame) }

// View implements tea.Model.
func (t *top) View() tea.View {
	v := tea.NewView(t.draw())
	v.AltScreen = true
	return v
}

// draw is exactly the terminal's lines, none wider than it.
func (t *top) draw() string {
	if t.width < topLeast || t.height < topLeastLines {
		return fit(fmt.Sprintf("svcctl top needs %d columns and %d lines", topLeast, topLeastLines), t.width)
	}
	lines := []string{t.head(), t.trouble()}
	lines = append(lines, t.list()...)
	for len(lines) < t.height-2 {
		lines = append(lines, "")
	}
	lines = append(lines, t.foot(), t.paint(dim, fit(t.hints(), t.width)))
	return strings.Join(lines, "\n")
}

// fit makes a text exactly as wide as its column: wide runes count twice.
func fit(text string, width int) string {
	if width <= 0 {
		return ""
	}
	return runewidth.FillRight(runewidth.Truncate(text, width, "…"), width)
}

// line is text that ends where the terminal ends.
func (t *top) line(text string) string { return runewidth.Truncate(text, t.width, "…") }

func (t *top) head() string {
	clock := t.now().Format("15:04:05")
	text := "svcctl top"
	if s := t.status; s != nil {
		count := map[engine.InstanceState]int{}
		for i := range s.Services {
			count[s.Services[i].State]++
		}
		var parts []string
		for _, state := range engine.InstanceStates {
			if count[state] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", count[state], state))
			}
		}
		if len(parts) == 0 {
			parts = []string{"none declared"}
		}
		text = fmt.Sprintf("cluster %s  revision %d  services: %s", s.Cluster.Name, s.Cluster.Revision, strings.Join(parts, ", "))
	}
	return fit(text, t.width-len(clock)-1) + " " + clock
}

// trouble is the line for what is wrong with the whole.
func (t *top) trouble() string {
	text := ""
	switch {
	case t.err != nil:
		text = "what is shown is old: " + t.err.Error()
	case t.status != nil && t.status.Cluster.Spec.State != api.SpecCurrent && t.status.Cluster.Spec.State != "":
		text = fmt.Sprintf("spec %s: %s", t.status.Cluster.Spec.State, t.status.Cluster.Spec.Message)
	case t.status != nil && t.status.Cluster.Spec.Store != "":
		text = "state directory: " + t.status.Cluster.Spec.Store
	}
	return t.paint(yellow, t.line(plain(text)))
}

// list is the titles and the part of the screen's list that can be seen.
func (t *top) list() []string {
	switch t.screen {
	case screenServices:
		return t.drawServices()
	case screenService:
		return t.drawService()
	case screenEvents:
		return t.scroll("EVENTS", t.events)
	case screenLog:
		return t.scroll("LOG of "+string(t.log), t.lines)
	case screenHelp:
		lines := make([]string, 0, len(topHelp))
		for _, k := range topHelp {
			lines = append(lines, fmt.Sprintf("%-16s %s", k[0], k[1]))
		}
		return t.scroll("KEYS", lines)
	default:
		panic(fmt.Sprintf("internal error: no such screen: %d", t.screen))
	}
}

// window moves the view of a list so that its cursor can be seen.
func (t *top) window(length int) (first, last int) {
	c, page := &t.rows[t.screen], t.body()
	if c.tail {
		c.at = length - 1
	}
	c.at = max(0, min(c.at, length-1))
	c.first = max(0, min(c.first, c.at, length-page), c.at-page+1)
	return c.first, min(length, c.first+page)
}

func (t *top) scroll(title string, lines []string) []string {
	first, last := t.window(len(lines))
	out := []string{t.paint(dim, fit(fmt.Sprintf("%s  (%d to %d of %d)", title, min(first+1, last), last, len(lines)), t.width))}
	for i := first; i < last; i++ {
		mark := " "
		if i == t.rows[t.screen].at && !t.rows[t.screen].tail {
			mark = ">"
		}
		out = append(out, t.line(mark+lines[i]))
	}
	return out
}

func (t *top) drawServices() []string {
	all := t.services()
	name := len("SERVICE")
	for _, s := range all {
		name = max(name, runewidth.StringWidth(s.FullName()))
	}
	name = min(name, t.width*3/8)
	out := []string{t.paint(dim, fit(fmt.Sprintf("  %s %-9s %-7s %-4s %s", fit("SERVICE", name), "STATE", "UP", "RST", "WHY"), t.width))}
	first, last := t.window(len(all))
	for i := first; i < last; i++ {
		s := all[i]
		up, of, restarts := 0, 0, 0
		for _, in := range s.Instances {
			for k := range in.Resources {
				r := &in.Resources[k]
				restarts += r.Restarts
				if !r.Disabled {
					of++
				}
				if r.State == engine.Up {
					up++
				}
			}
		}
		left := fmt.Sprintf("%s %s ", t.mark(i), fit(s.FullName(), name))
		right := fmt.Sprintf(" %-7s %-4d %s", fmt.Sprintf("%d/%d", up, of), restarts, plain(remarks(s)))
		out = append(out, left+t.paint(stateColour(string(s.State)), fit(string(s.State), 9))+
			runewidth.Truncate(right, t.width-name-12, "…"))
	}
	if len(all) == 0 && t.status != nil {
		out = append(out, "  no service is declared, or none has "+fmt.Sprintf("%q", t.filter)+" in its name or state")
	}
	return out
}

func (t *top) mark(i int) string {
	if i == t.rows[t.screen].at {
		return ">"
	}
	return " "
}

func (t *top) drawService() []string {
	s := t.chosenService()
	if s == nil {
		return []string{t.line(t.service + " is not known any more")}
	}
	title := s.FullName() + "  " + string(s.State)
	for _, text := range []string{freezeText(s), s.Why} {
		if text != "" {
			title += "  " + text
		}
	}
	out := []string{t.paint(dim, fit(plain(title), t.width))}
	parts := t.parts()
	name := 0
	for _, p := range parts {
		name = max(name, runewidth.StringWidth(p.name()))
	}
	name = min(name, t.width*3/8)
	first, last := t.window(len(parts))
	for i, p := range slices.All(parts) {
		if i >= first && i < last {
			out = append(out, t.drawPart(i, p, name))
		}
	}
	return out
}

func freezeText(s *api.ServiceStatus) string {
	if s.Freeze == nil {
		return ""
	}
	return freezeWords(s.Freeze)
}

func (p part) name() string {
	if c := p.check; c != nil {
		return fmt.Sprintf("  check %s (%s)", c.Name, c.Kind)
	}
	return p.address().Local()
}

// says is the state of the line, and what is known beyond it.
func (t *top) says(p part) (state string, facts []string) {
	add := func(texts ...string) {
		for _, text := range texts {
			if text != "" {
				facts = append(facts, text)
			}
		}
	}
	switch r := p.resource; {
	case p.check != nil:
		add(p.check.Error)
		return string(p.check.State), facts
	case p.task != nil:
		if !p.task.Next.IsZero() {
			add("next " + moment(p.task.Next))
		}
		add(lastWords(p.task, t.now()), p.task.Why)
		return stateOfTask(p.task), facts
	default:
		if !r.Since.IsZero() {
			add(age(t.now().Sub(r.Since)))
		}
		if r.PID != 0 {
			add(fmt.Sprintf("pid %d", r.PID))
		}
		if r.Restarts > 0 {
			add(fmt.Sprintf("restarts %d", r.Restarts))
		}
		add(r.Error, r.Why, r.Detail)
		return string(r.State), facts
	}
}

func (t *top) drawPart(i int, p part, name int) string {
	left := t.mark(i) + " " + fit(p.name(), name)
	state, facts := t.says(p)
	return left + " " + t.paint(stateColour(state), fit(state, 9)) +
		runewidth.Truncate(" "+plain(strings.Join(facts, "  ")), t.width-name-12, "…")
}

// foot is the line of what is asked, typed or was answered.
func (t *top) foot() string {
	switch {
	case t.prompt != nil && t.prompt.reason:
		return t.paint(yellow, t.line(fmt.Sprintf("%s %s? reason (enter: do it, esc: leave it): %s_", t.prompt.verb, t.prompt.target, t.prompt.text)))
	case t.prompt != nil:
		return t.paint(yellow, t.line(fmt.Sprintf("%s %s? y: do it, any other key: leave it", t.prompt.verb, t.prompt.target)))
	case t.typing:
		return t.line("/" + t.filter + "_")
	case t.note != "":
		return t.line(plain(strings.ReplaceAll(t.note, "\n", " ")))
	case t.filter != "" && t.screen == screenServices:
		return t.line("only with " + fmt.Sprintf("%q", t.filter) + " in the name or state (esc: all)")
	}
	return ""
}

// hints are the keys of the screen, short enough for 80 columns.
func (t *top) hints() string {
	switch t.screen {
	case screenServices:
		return "enter, s start, x stop, r restart, f freeze, e events, / find, ? keys, q quit"
	case screenService:
		return "enter, s start, x stop, r restart, f freeze, e events, esc back, ? keys, q quit"
	case screenEvents, screenLog, screenHelp:
		return "up down pgup pgdn, G follow the end, esc back, q quit"
	default:
		panic(fmt.Sprintf("internal error: no such screen: %d", t.screen))
	}
}
