package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// screen is what the terminal shows.
type screen int

const (
	screenServices screen = iota
	screenService
	screenEvents
	screenLog
	screenHelp
)

const (
	topKept     = 2000 // lines of a log, and events, that can be scrolled back to
	topTick     = time.Second
	topAgain    = 300 * time.Millisecond // between two looks at the status while events come
	topPatience = 10 * time.Second
)

// top is the state of the screen. It changes in Update alone.
type top struct {
	*streams
	client *api.Client
	feeder *feeder
	now    func() time.Time

	width, height int
	status        *api.Status
	err           error // why the status is old
	asking        bool  // a look at the status is under way
	again         bool  // and another is wanted behind it

	screen  screen
	from    []screen // where back leads
	rows    [screenHelp + 1]cursor
	service string       // full name, of screenService
	log     spec.Address // of screenLog
	lines   []string     // of the log
	events  []string
	filter  string
	typing  bool // the filter
	prompt  *prompt
	note    string // what came of the last command
}

// cursor is a place in a list that may be longer than the screen.
type cursor struct {
	at, first int
	tail      bool // stays at the end, as lines come
}

// prompt is a change that waits for a yes.
type prompt struct {
	verb   engine.CommandVerb
	target string
	body   api.CommandBody
	reason bool // a text is asked for, not only yes or no
	text   string
}

type (
	statusMsg struct {
		status *api.Status
		err    error
	}
	tickMsg    struct{}
	againMsg   struct{}
	commandMsg struct {
		said string
		err  error
	}
)

func newTop(s *streams, c *api.Client, f *feeder) *top {
	t := &top{streams: s, client: c, feeder: f, now: time.Now, width: plainWidth, height: 24}
	t.rows[screenEvents].tail, t.rows[screenLog].tail = true, true
	return t
}

// Init implements tea.Model.
func (t *top) Init() tea.Cmd { return tea.Batch(t.look(), tick()) }

func tick() tea.Cmd { return tea.Tick(topTick, func(time.Time) tea.Msg { return tickMsg{} }) }

// look asks for the status, one question at a time.
func (t *top) look() tea.Cmd {
	if t.asking {
		t.again = true
		return nil
	}
	t.asking = true
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(t.feeder.ctx, topPatience)
		defer cancel()
		s, err := t.client.Status(ctx)
		return statusMsg{s, err}
	}
}

// Update implements tea.Model.
func (t *top) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		t.width, t.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return t, t.key(msg)
	case tea.PasteMsg:
		t.paste(msg.Content)
	case statusMsg:
		return t, t.looked(msg)
	case tickMsg:
		if t.err != nil {
			return t, tea.Batch(tick(), t.look())
		}
		return t, tick() // ages grow
	case againMsg:
		t.asking = false
		if t.again {
			t.again = false
			return t, t.look()
		}
	case eventMsg:
		t.events = keep(t.events, eventLine(&streams{}, msg.event))
		return t, t.look()
	case holeMsg:
		t.events = keep(t.events, "… "+msg.err.Error())
		return t, t.look()
	case lostMsg:
		return t, t.look()
	case lineMsg:
		if msg.address == t.log {
			t.lines = keep(t.lines, msg.text)
		}
	case logEndMsg:
		if msg.address == t.log {
			t.lines = keep(t.lines, logEnd(msg))
		}
	case commandMsg:
		t.note = msg.said
		if msg.err != nil {
			t.note = "refused: " + msg.err.Error()
		}
		return t, t.look()
	}
	return t, nil
}

func (t *top) looked(msg statusMsg) tea.Cmd {
	t.err = msg.err
	if msg.err == nil {
		chosen := t.chosenService() // the cursor stays on what it was on
		t.status = msg.status
		t.follow(chosen)
	}
	return tea.Tick(topAgain, func(time.Time) tea.Msg { return againMsg{} })
}

func logEnd(msg logEndMsg) string {
	if msg.err != nil {
		return "… " + msg.err.Error()
	}
	return "… the log has ended"
}

func keep(lines []string, line string) []string {
	lines = append(lines, plain(line))
	if len(lines) > topKept {
		lines = slices.Clone(lines[len(lines)-topKept*3/4:])
	}
	return lines
}

// plain takes out of a text what would move the cursor of a terminal.
func plain(text string) string {
	text = strings.ReplaceAll(text, "\t", "    ")
	var b strings.Builder
	escape := false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r == '[' || r == ']' || r == ';' || '0' <= r && r <= '9' || r == '?'
		case r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// services are those that the filter lets through.
func (t *top) services() (out []*api.ServiceStatus) {
	if t.status == nil {
		return nil
	}
	for i := range t.status.Services {
		s := &t.status.Services[i]
		if strings.Contains(s.FullName(), t.filter) || strings.Contains(string(s.State), t.filter) {
			out = append(out, s)
		}
	}
	return out
}

// chosenService is the one under the cursor, or the one that is open.
func (t *top) chosenService() *api.ServiceStatus {
	if t.status == nil {
		return nil
	}
	if t.screen != screenServices {
		for i := range t.status.Services {
			if t.status.Services[i].FullName() == t.service {
				return &t.status.Services[i]
			}
		}
		return nil
	}
	all := t.services()
	if at := t.rows[screenServices].at; at < len(all) {
		return all[at]
	}
	return nil
}

func (t *top) follow(was *api.ServiceStatus) {
	if was == nil || t.screen != screenServices {
		return
	}
	if i := slices.IndexFunc(t.services(), func(s *api.ServiceStatus) bool { return s.FullName() == was.FullName() }); i >= 0 {
		t.rows[screenServices].at = i
	}
}

// part is a line of an open service: a resource, a check of it, or a task.
type part struct {
	resource *api.ResourceStatus // nil: a task
	check    *api.CheckStatus
	task     *api.TaskStatus
}

// address is that of the resource or task which the line is about.
func (p part) address() spec.Address {
	if p.task != nil {
		return p.task.Address
	}
	return p.resource.Address
}

func (t *top) parts() (out []part) {
	s := t.chosenService()
	if s == nil {
		return nil
	}
	for i := range s.Instances {
		for k := range s.Instances[i].Resources {
			r := &s.Instances[i].Resources[k]
			out = append(out, part{resource: r})
			for c := range r.Checks {
				out = append(out, part{resource: r, check: &r.Checks[c]})
			}
		}
		for k := range s.Instances[i].Tasks {
			out = append(out, part{task: &s.Instances[i].Tasks[k]})
		}
	}
	return out
}

func (t *top) chosenPart() (part, bool) {
	all := t.parts()
	if at := t.rows[screenService].at; at < len(all) {
		return all[at], true
	}
	return part{}, false
}

// order sends the prompt's command.
func (t *top) order(p *prompt) tea.Cmd {
	t.note = fmt.Sprintf("%s %s …", p.verb, p.target)
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(t.feeder.ctx, topPatience)
		defer cancel()
		var err error
		switch p.verb {
		case engine.CommandRun:
			err = t.client.RunTasks(ctx, api.TasksBody{Addresses: []spec.Address{spec.Address(p.target)}})
		case engine.CommandHalt:
			err = t.client.HaltTasks(ctx, api.TasksBody{Addresses: []spec.Address{spec.Address(p.target)}})
		default:
			err = t.client.Command(ctx, p.verb, p.body)
		}
		return commandMsg{fmt.Sprintf("%s %s: accepted", p.verb, p.target), err}
	}
}
