// Command quickstart-web is a page for the quickstart: it says a word, or asks another page for it.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8780", "address of the page")
	say := flag.String("say", "", "the word")
	ask := flag.String("ask", "", "URL of the page that knows the word")
	flag.Parse()
	log.SetFlags(0)
	client := &http.Client{Timeout: 2 * time.Second}
	http.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		word := *say
		if *ask != "" {
			var err error
			if word, err = fetch(client, *ask); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			word = fmt.Sprintf("%s, says process %d", word, os.Getpid())
		}
		_, _ = io.WriteString(w, word) // a client that is gone needs no answer
	})
	log.Printf("process %d listens on %s", os.Getpid(), *listen)
	server := &http.Server{Addr: *listen, ReadHeaderTimeout: 2 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func fetch(client *http.Client, url string) (string, error) {
	answer, err := client.Get(url)
	if err != nil {
		return "", fmt.Errorf("cannot ask the page behind: %w (is it up?)", err)
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	word, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	return string(word), err
}
