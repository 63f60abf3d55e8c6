// Command probe is the program of the test image: it serves, says what it hears, and fails as it is told.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The environment says how it is to behave: PROBE_HANG (TERM is not obeyed),
// PROBE_EXIT (it ends at once), PROBE_EAT (it takes memory without end), PROBE_LISTEN.
func main() {
	listen := os.Getenv("PROBE_LISTEN")
	if listen == "" {
		listen = ":80"
	}
	if len(os.Args) > 1 && os.Args[1] == "check" {
		check(listen)
	}
	fmt.Println("probe begins")
	fmt.Fprintln(os.Stderr, "probe complains")
	switch {
	case os.Getenv("PROBE_EXIT") != "":
		os.Exit(3)
	case os.Getenv("PROBE_EAT") != "":
		eat()
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	go serve(listen)
	for s := range stopped {
		fmt.Println("probe hears", s)
		if os.Getenv("PROBE_HANG") == "" {
			os.Exit(0)
		}
	}
}

func check(listen string) {
	c := http.Client{Timeout: time.Second}
	answer, err := c.Get("http://127.0.0.1" + listen[strings.LastIndex(listen, ":"):] + "/health")
	if err != nil || answer.StatusCode != http.StatusOK {
		fmt.Println("not well")
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(listen string) {
	var sick atomic.Bool
	sick.Store(os.Getenv("PROBE_SICK") != "")
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/sick", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	http.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getenv(r.URL.Query().Get("name"))) })
	http.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(r.URL.Query().Get("file"))
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(b) // whoever asked has gone, or has it
	})
	http.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		file := r.URL.Query().Get("file")
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil {
			err = os.WriteFile(file, []byte(r.URL.Query().Get("text")), 0o644)
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, err)
		}
	})
	if err := http.ListenAndServe(listen, nil); err != nil {
		fmt.Println("probe cannot serve:", err)
		os.Exit(4)
	}
}

// eat touches what it takes, so that it is taken.
func eat() {
	var all [][]byte
	for {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += 4096 {
			piece[i] = 1
		}
		all = append(all, piece)
		if len(all) > 1<<14 {
			os.Exit(5) // nobody limits it
		}
	}
}
