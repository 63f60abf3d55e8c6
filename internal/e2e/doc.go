// Package e2e runs the real program as an operator would, and breaks what it keeps up.
package e2e
