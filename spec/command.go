package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// OneText finds a whole command line where the program of a command belongs: no shell takes
// it apart, so that no program of that name would be found. Names of programs may hold
// blanks; what follows the blank tells.
func OneText(field string, command []string) []Problem {
	if len(command) == 0 {
		return nil
	}
	words := strings.Fields(command[0])
	if len(words) < 2 || words[0] == "" {
		return nil
	}
	line := !strings.Contains(command[0], "/")
	for _, w := range words[1:] {
		line = line || strings.ContainsAny(w[:1], "-<>|&;:/")
	}
	if !line {
		return nil
	}
	for _, w := range words {
		if strings.ContainsAny(w, "<>|&;$`'\"*") {
			return []Problem{{field, "A command line in one text", fmt.Sprintf("No shell takes it apart. Write each word in quotes of its own, or %s = [\"/bin/sh\", \"-c\", \"…\"].", field)}}
		}
	}
	return []Problem{{field, "A command line in one text", fmt.Sprintf("No shell takes it apart. Write %s.", quoted(withoutSecrets(words)))}}
}

// quoted writes words as a list is written, without its brackets.
func quoted(words []string) string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, strconv.Quote(w))
	}
	return strings.Join(out, ", ")
}
