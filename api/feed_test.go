package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/svcctl/svcctl/engine"
)

func publish(f *Feed, service string, n int) {
	for i := range n {
		f.Publish(noon, engine.Fact{Kind: engine.FactService, Service: service, Message: fmt.Sprint(i)})
	}
}

func messages(t *testing.T, e *Events, n int) string {
	t.Helper()
	var got []string
	for range n {
		event, err := e.Next()
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, event.Service+event.Message)
	}
	return strings.Join(got, " ")
}

func TestAStreamResumesWhereItEnded(t *testing.T) {
	f := newFeed()
	c, _ := serve(t, newScripted(), f)
	publish(f, "a", 2)
	first, err := c.Events(within(t), EventOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	publish(f, "b", 2)
	if got := messages(t, first, 1); got != "b0" {
		t.Errorf("a new stream begins with %s", got)
	}
	first.Close()
	publish(f, "c", 1)
	second, err := c.Events(within(t), EventOptions{Follow: true, Since: first.Position})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got := messages(t, second, 2); got != "b1 c0" {
		t.Errorf("resumed with %s", got)
	}
}

func TestAPositionIsKnownBeforeTheFirstEvent(t *testing.T) {
	f := newFeed()
	c, _ := serve(t, newScripted(), f)
	publish(f, "a", 3)
	e, err := c.Events(within(t), EventOptions{Follow: true, Services: []string{"z"}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	publish(f, "a", 1)
	publish(f, "z", 1)
	if got := messages(t, e, 1); got != "z0" || e.Position != f.Last() {
		t.Errorf("got %s at %d of %d", got, e.Position, f.Last())
	}
}

func TestWhatIsNotKeptAnyMoreIsSaid(t *testing.T) {
	f := newFeed()
	c, _ := serve(t, newScripted(), f)
	publish(f, "a", 1)
	since := f.Last()
	publish(f, "b", 20) // of which 16 are kept
	e, err := c.Events(within(t), EventOptions{Since: since})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Next(); !Missed(err) || !strings.Contains(err.Error(), "4 events missed") {
		t.Errorf("says %v", err)
	}
	if got := messages(t, e, 2); got != "b4 b5" {
		t.Errorf("goes on with %s", got)
	}
	messages(t, e, 14)
	if _, err := e.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("without follow the stream goes on: %v", err)
	}
}

func TestAReaderOfAnEarlierAgentGetsAllOfTheNewOne(t *testing.T) {
	old := NewFeed(16, noon)
	publish(old, "a", 5)
	f := NewFeed(16, noon.Add(time.Second))
	publish(f, "b", 2)
	if r := f.after(old.Last(), 10); len(r.events) != 2 {
		t.Errorf("%+v", r)
	}
	// The clock was set back before the new agent started.
	f = NewFeed(16, noon.Add(-time.Hour))
	publish(f, "c", 2)
	if r := f.after(old.Last(), 10); len(r.events) != 2 {
		t.Errorf("%+v", r)
	}
}

// pipeListener hands out the server's ends of pipes, which have no buffer: a client
// that does not read holds the server's write.
type pipeListener struct{ conns chan net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *pipeListener) Close() error   { close(l.conns); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func TestAReaderThatIsTooSlowIsDroppedWithAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		client := slowClient(t, f)
		lines := bufio.NewReader(client)
		readTo(t, lines, "\r\n\r\n") // the head; the server now waits in its first write
		synctest.Wait()
		publish(f, "a", 1)
		synctest.Wait()
		publish(f, "b", 40)
		rest := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(lines) // the server closes, or the pipe ends: both end it
			rest <- string(all)
		}()
		synctest.Wait()
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		got := <-rest
		if !strings.Contains(got, "event: dropped\ndata: {\"events\":") || strings.Contains(got, `"message":"39"`) {
			t.Errorf("the slow reader got:\n%s", got)
		}
	})
}

func TestAReaderThatStopsReadingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		client := slowClient(t, f)
		lines := bufio.NewReader(client)
		readTo(t, lines, "\r\n\r\n")
		publish(f, "a", 1)
		time.Sleep(2 * writeWithin) // the bubble's clock
		all, err := io.ReadAll(lines)
		if strings.Contains(string(all), `"service":"a"`) && err == nil {
			t.Errorf("still served after %s: %q", 2*writeWithin, all)
		}
	})
}

func slowClient(t *testing.T, f *Feed) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	l := &pipeListener{make(chan net.Conn, 1)}
	l.conns <- theirs
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&Server{Agent: newScripted(), Feed: f, Heartbeat: time.Hour}).Serve(ctx, l) }()
	t.Cleanup(func() {
		_ = ours.Close()
		cancel()
		<-done
	})
	r, err := http.NewRequest(http.MethodGet, "http://agent/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(ours); err != nil {
		t.Fatal(err)
	}
	return ours
}

func readTo(t *testing.T, r *bufio.Reader, end string) {
	t.Helper()
	var got strings.Builder
	for !strings.HasSuffix(got.String(), end) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
		got.WriteByte(b)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	var s streams
	for range maxStreams {
		if !s.enter() {
			t.Fatal("refused too early")
		}
	}
	if s.enter() {
		t.Error("one too many is let in")
	}
	s.leave()
	if !s.enter() {
		t.Error("a place that was left is not given")
	}
}

func BenchmarkPublish(b *testing.B) {
	f := NewFeed(FeedSize, noon)
	fact := engine.Fact{Kind: engine.FactResource, Address: "a/app.b", From: "down", To: "up"}
	b.ReportAllocs()
	for b.Loop() {
		f.Publish(noon, fact)
	}
}
