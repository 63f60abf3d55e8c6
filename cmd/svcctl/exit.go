package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/svcctl/svcctl/api"
)

// The exit codes, a contract with scripts.
const (
	exitDone    = 0
	exitFailed  = 1 // failed, or findings
	exitUsage   = 2
	exitTimeout = 3 // not in the wanted state yet
	exitNoAgent = 4
	exitRefused = 5
)

// exitError is an error that knows its exit code.
type exitError struct {
	code   int
	err    error
	silent bool // everything was said already
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func failed(format string, args ...any) error {
	return &exitError{code: exitFailed, err: fmt.Errorf(format, args...)}
}

// findings ends a command whose output was its findings.
func findings() error {
	return &exitError{code: exitFailed, err: errors.New("there are findings"), silent: true}
}

// exitCode is where each error gets its code.
func exitCode(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, api.ErrNoAgent):
		return exitNoAgent
	case api.IsProblem(err, http.StatusForbidden), api.IsProblem(err, http.StatusConflict):
		return exitRefused
	case api.IsProblem(err, http.StatusGatewayTimeout), errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	default:
		return exitFailed
	}
}
