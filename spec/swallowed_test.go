package spec

import (
	"strings"
	"testing"
)

// written is a service around the lines of a resource or of the service itself.
func written(lines ...string) string {
	return "service \"a\" {\n  " + strings.Join(lines, "\n  ") + "\n}\n"
}

func TestACommentThatGoesOnIntoALostLineIsReported(t *testing.T) {
	for _, c := range []struct{ lines, what string }{
		{"# why it is there  description = \"x\"", "description"},
		{"rto = \"1s\" # why  description = \"x\"", "description"},
		{"rto = \"1s\" // why\r\n  # so  description = \"x\"\r", "description"},
		{"rto = \"1s\" # why  description = \"x\" # and more", "description"},
		{"# why  placement {}", "placement"},
		{"app \"m\" {\n    command = [\"/x\"] # why    user = \"root\"\n  }", "user"},
		{"app \"m\" { # why    user = \"root\"\n    command = [\"/x\"]\n  }", "user"},
		{"app \"m\" { # why    command = [\"/x\"]\n  }", "command"},
		{"app \"m\" {\n    command = [\"/x\"] # why    after = []\n  }", "after"},
		{"app \"m\" {\n    command = [\"/x\"]\n    log { # why      files = 3\n    }\n  }", "files"},
		{"app \"m\" {\n    command = [\"/x\"] # why    log { files = 3 }\n  }", "log"},
		{"app \"m\" {\n    command = [\"/x\"]\n    check \"tcp\" \"t\" {\n      address = \"x\"\n      # why      every = \"2s\"\n    }\n  }", "every"},
		{"nodes = [\n    \"n1\", # first    \"n2\",\n  ]", "\\\"n2\\\""},
		{"nodes = concat([\"n1\"], # first    [\"n2\"],\n    [])", "[\\\"n2\\\"]"},
		{"app \"m\" {\n    command = [\"/x\"]\n    env = {\n      A = \"1\" # why      B = \"2\"\n    }\n  }", "B"},
		{"app \"m\" {\n\tcommand = [\"/x\"] # why\tuser = \"root\"\n  }", "user"},
	} {
		_, findings := NewLoader(testOptions).Load(set("a.hcl", written(c.lines)))
		if want := "a comment goes on into \"" + c.what + "\""; len(findings) != 1 || findings[0].Code != codeSwallowed || findings[0].Summary != want {
			t.Errorf("%s\nwant %s\ngot\n%s", c.lines, want, printed(findings))
		}
	}
}

func TestACommentThatOnlyTalksOfCodeIsNotReported(t *testing.T) {
	for _, lines := range []string{
		"# description = \"x\"",
		"#   description = \"x\"",
		"#description = \"x\"  rto = \"1s\"",
		"# rpo = \"1s\"  rto = \"1s\"",
		"# why  description is missing",
		"# why  description = what it is",
		"# why  description = x",
		"# why  description == \"x\"",
		"# why description = \"x\"",
		"# why  unknown = \"x\"",
		"description = \"y\" # not  description = \"x\"",
		"description = \"# why  rto = 1\"",
		"description = \"http://x  rto = 1\"",
		"description = <<-EOT\n    # why  rto = \"1s\"\n  EOT",
		"/* why  rto = \"1s\" */",
		"# why  app \"m\" {",
		"# why   description = \"x\"", // nor here
		"# as in:  description = \"x\"",
		"# before:     topology = \"everywhere\"",
		"#  on n1:    nodes = [\"n1\"]\n  #  on n2:    nodes = [\"n2\"]",
		"app \"m\" {\n    # Example:    user = \"root\"\n    command = [\"/x\"]\n  }",
		"nodes = [\n    \"n1\", # default:    \"n2\",\n  ]",
		"# n1  the first\n  # n2  the second",
		"placement {} # why  placement {}",
		"app \"m\" {\n    command = [\"/x\"]\n    # why  user = \"root\"\n  }", // not where a line begins
		"nodes = [\n    \"n1\", # first  of all\n    # \"n2\",    \"n3\",\n  ]",
		"app \"m\" {\n    command = [\"/x\"]\n    env = {\n      A = \"1\" # not      A = \"2\"\n    }\n  }",
		"app \"m\" {\n    command = [\"/x\"]\n    nice = (1 + # why    user = \"root\"\n      2)\n  }",
	} {
		_, findings := NewLoader(testOptions).Load(set("a.hcl", written(lines)))
		if len(findings) > 0 {
			t.Errorf("%s\n%s", lines, printed(findings))
		}
	}
}
