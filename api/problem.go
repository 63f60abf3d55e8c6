package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/svcctl/svcctl/engine"
)

// Problem is an error as the API sends it (RFC 9457).
type Problem struct {
	Type     string    `json:"type"`
	Title    string    `json:"title"`
	Status   int       `json:"status"`
	Detail   string    `json:"detail"`
	Findings []Finding `json:"findings,omitempty"`
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

func problem(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// problemOf gives an agent's error its HTTP status; fallback is for errors that say
// nothing about themselves.
func problemOf(err error, fallback int) *Problem {
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, "cannot read the request: it is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, ErrNotFound):
		return problem(http.StatusNotFound, "%v", err)
	case errors.Is(err, ErrRefused), errors.Is(err, engine.ErrRefused):
		return problem(http.StatusConflict, "%v", err)
	case errors.Is(err, ErrInvalid):
		return problem(http.StatusUnprocessableEntity, "%v", err)
	case errors.Is(err, ErrUnavailable):
		return problem(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusGatewayTimeout, "the agent did not answer in time (see its log): %v", err)
	default:
		return problem(fallback, "%v", err)
	}
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone: nobody to tell
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}
