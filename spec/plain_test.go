package spec

import (
	"fmt"
	"strings"
	"testing"
)

const plainSet = `service "a" {
  app "b" {
    command = ["/bin/true"]
    env = {
      DB_PASSWORD      = "hunter2"
      DB_PASSWORD_FILE = "pw.txt"
      API_TOKEN        = secret("token")
      SECRET           = "/run/secret"
      EMPTY_SECRET     = ""
      LOG              = "info"
    }
    check "http" "c" {
      url      = "http://localhost"
      password = "hunter2"
    }
  }
  app "merged" {
    command = ["/bin/true"]
    env     = merge({ "Authorization" = "Bearer hunter2" }, {})
  }
}
`

func TestASecretInPlainTextIsToldAndNeverRepeated(t *testing.T) {
	wantFound(t, found(testOptions, "a.hcl", plainSet),
		`5:26 SV0402 "DB_PASSWORD" stands in the file`, `14:18 SV0402 "password" stands in the file`, `19:15 SV0402 "Authorization" stands in the file`)
	s, findings := NewLoader(testOptions).Load(set("a.hcl", plainSet))
	if s == nil || findings[0].Severity != Warning {
		t.Errorf("it is no warning:\n%s", printed(findings))
	}
	if text := printed(findings); strings.Contains(text, "hunter2") {
		t.Errorf("a password is repeated:\n%s", text)
	}
}

func TestASecretInAVariableIsToldWhereItIsDefined(t *testing.T) {
	uses := "service \"a\" {\n  app \"b\" {\n    command = [\"/bin/true\"]\n    env = { PGPASSWORD = var.pw, OTHER_PASSWORD = local.again }\n  }\n  app \"c\" {\n    command = [\"/bin/true\"]\n    env = { PASSWORD = var.pw }\n  }\n}\n"
	m := set("x.hcl", "variable \"pw\" {\n  default = \"hunter2\"\n}\n", "y/a.hcl", uses, "y/l.hcl", "locals {\n  again = var.pw\n}\n")
	l := NewLoader(testOptions)
	for round := range 2 {
		_, findings := l.Load(m)
		if len(findings) != 1 || findings[0].File != "x.hcl" || findings[0].Range.Start.Line != 1+round || findings[0].Code != codePlainSecret ||
			!strings.HasPrefix(findings[0].Detail, "It is read at y/a.hcl:4. ") || strings.Contains(printed(findings), "hunter2") {
			t.Errorf("round %d:\n%s", round, printed(findings))
		}
		write(m, "x.hcl", "# the value is the same, its place is not\nvariable \"pw\" {\n  default = \"hunter2\"\n}\n")
	}
	order := "service \"a\" {\n  app \"z\" {\n    command = [\"/z\"]\n    env = { D_TOKEN = var.pw, C_TOKEN = var.pw, B_TOKEN = var.pw }\n  }\n  app \"b\" {\n    command = [\"/b\"]\n    env = { TOKEN = var.pw }\n  }\n}\nvariable \"pw\" {\n  default = \"hunter2\"\n}\n"
	for range 20 { // the first that reads it names it
		wantFound(t, found(testOptions, "a.hcl", order), `11:10 SV0402 "D_TOKEN" stands in the file`)
	}
	wantFound(t, found(testOptions, "a.hcl", "locals {\n env = { TOKEN = \"hunter2\", A = \"b\" }\n}\n"+app("env = local.env")), `2:2 SV0402 "TOKEN" stands in the file`)
	wantFound(t, found(testOptions, "a.hcl", "locals {\n pw = \"hunter2\"\n}\n"+app(`env = { A = "postgres://me:${local.pw}@host/db" }`)), `7:13 SV0402 the password in "A" stands in the file`)
	wantFound(t, found(testOptions, "a.hcl", "locals {\n pw = secret(\"pw\")\n}\n"+app(`env = { A = "postgres://me:${local.pw}@host/db", PASSWORD = local.pw }`)))
	wantFound(t, found(testOptions, "a.hcl", "locals {\n secret = \"orders\"\n}\n"+app(`env = { PASSWORD = secret(local.secret) }`)))
}

func TestAVariableIsToldByItsNameWhereThatIsAPasswords(t *testing.T) {
	for name, told := range map[string]bool{
		"password": true, "db_Password": true, "db-passwd": true, "passphrase": true,
		"compass": false, "bypass": false, "passive": false, "passenger": false, "password_file": false,
		"bypass_token": false, "password_secret": false, // they may be names, for secret()
	} {
		var want []string
		if told {
			want = []string{fmt.Sprintf("2:2 SV0402 %q stands in the file", name)}
		}
		wantFound(t, found(testOptions, "a.hcl", "locals {\n "+name+" = \"hunter2\"\n}\n"+app(`user = join("", ["x", local.`+name+`])`)), want...)
	}
}

func TestWordsOfCommandsAreLookedAtForSecrets(t *testing.T) {
	words := func(list string) []string {
		return found(testOptions, "a.hcl", "service \"a\" {\n  app \"b\" {\n    command = ["+list+"]\n  }\n}\n")
	}
	for list, want := range map[string]string{
		`"x", "--password=hunter2"`:                         `3:21 SV0402 "--password" stands in the file`,
		`"x", "-api-key=hunter2"`:                           `3:21 SV0402 "-api-key" stands in the file`,
		`"env", "PGPASSWORD=hunter2", "psql"`:               `3:23 SV0402 "PGPASSWORD" stands in the file`,
		`"/usr/bin/mysqldump", "-phunter2"`:                 `3:38 SV0402 the password behind "-p" stands in the file`,
		`"/usr/bin/env", "mariadb", "-u", "x", "-phunter2"`: `3:54 SV0402 the password behind "-p" stands in the file`,
		`"psql", "postgres://me:hunter2@db/x"`:              `3:24 SV0402 the password in a URL stands in the file`,
		`"sh", "-c", "psql postgres://me:hunter2@db/x"`:     `3:28 SV0402 the password in a URL stands in the file`,
		`"redis-cli", "-u", "redis://:hunter2@h"`:           `3:35 SV0402 the password in a URL stands in the file`,
		`"redis-server", "--requirepass", "hunter2"`:        `3:49 SV0402 "--requirepass" stands in the file`,
		`"x", "-token", "hunter2"`:                          `3:31 SV0402 "-token" stands in the file`,
		`"x", "--password", "http://me:hunter2@h"`:          `3:35 SV0402 the password in a URL stands in the file`,
	} {
		wantFound(t, words(list), want)
	}
	for _, list := range []string{
		`"x", "--password=$PASSWORD"`, `"x", "--password=$${PASSWORD}"`, `"x", "--password=@/run/pw"`, `"x", "--password=/run/pw"`,
		`"x", "--password=./pw"`, `"x", "--password=<password>"`, `"x", "--password=file:/pw"`, `"x", "--password={{ pw }}"`,
		`"x", "--password-file=pw"`, `"x", "--password_file=pw"`, `"x", "--token-ttl=60s"`, `"x", "--password="`, `"x", "--password=true"`,
		`"x", "--authorization-mode=Node,RBAC"`, `"x", "--password-file", "pw"`, `"x", "--no-token=yes"`, `"x", "--user=me"`,
		`"x", "-phunter2"`, `"ssh", "-p2222"`, `"/usr/bin/mysql", "-p"`, `"/usr/bin/mysql", "-p$PW"`, `"-pbefore", "mysql"`, `"mysqld", "-P3306"`,
		`"sh", "-c", "PASSWORD=$(cat /run/pw) exec x"`, `"sh", "-c", "TOKEN=\"$1\" x"`, "\"sh\", \"-c\", \"TOKEN=`cat x` y\"", `"echo", "a token = b"`, `"sh", "-c", "TOKEN=\nexport TOKEN"`,
		`"x", "postgres://me@db/x"`, `"x", "postgres://me:$PW@db/x"`, `"x", "http://h:80/a@b"`, `"x", "http://[::1]:80/"`, `"x", "postgres://me:<pw>@db"`,
		`"x", "docker://nginx:1.27@sha256:abc"`, `"x", "http://me:%s@h"`, `"x", "ssh://git@host:22/x"`, `"x", "http://me:xxx@h"`, `"x", "http://a.b/?x=a:b@c"`,
		`"x", "--password", "--verbose"`, `"x", "--password", "/run/pw"`, `"x", "--password", "$PW"`, `"x", "password", "reset"`, `"x", "--token"`, `"x", "--print-token", "now"`,
		`"pg_dump", "--no-password", "orders"`, `"/usr/bin/psql", "--password", "orders"`, `"mysqldump", "--password", "orders"`,
		`"x", "--password=********"`, `"x", "--password=xxxx"`,
	} {
		if got := words(list); len(got) > 0 {
			t.Errorf("%s: %v", list, got)
		}
	}
}

func TestArgumentsOfAnySchemaAreLookedAtForSecrets(t *testing.T) {
	for lines, want := range map[string]string{
		`env = { "X-Api-Key" = "hunter2" }`:               `4:23 SV0402 "X-Api-Key" stands in the file`,
		`env = { AWS_SECRET_ACCESS_KEY = "hunter2" }`:     `4:33 SV0402 "AWS_SECRET_ACCESS_KEY" stands in the file`,
		`env = { "spring.datasource.password" = "hu@n" }`: `4:40 SV0402 "spring.datasource.password" stands in the file`,
		`env = { URL = "amqp://me:hunter2@mq" }`:          `4:15 SV0402 the password in "URL" stands in the file`,
		`user = "http://me:hunter2@mq"`:                   `4:8 SV0402 the password in "user" stands in the file`,
	} {
		wantFound(t, found(testOptions, "a.hcl", app(lines)), want)
	}
	for _, lines := range []string{
		`env = { PASSWORD_MIN_LENGTH = "12", TOKEN_EXPIRY = "1h", PASSWORD_RESET_URL = "x", SECRET_NAME = "orders" }`,
		`env = { REQUIRE_PASSWORD = "true", CSRF_TOKEN = "disabled", PASSWORD = "$PW", PASSWORD2 = "x" }`,
		`env = { AUTHORIZATION = "Bearer $TOKEN", PWD = "srv", AUTH = "basic" }`,
		`env = { PASSWORD = node.labels.site }`, // it stands in agent.hcl
		`memory_max = "12M"`,
	} {
		if got := found(testOptions, "a.hcl", app(lines)); len(got) > 0 {
			t.Errorf("%s: %v", lines, got)
		}
	}
	_, findings := NewLoader(testOptions).Load(set("a.hcl", "service \"a\" {\n  app \"b\" {\n    command = [\"x\", \"--password=hunter2\"]\n  }\n}\n"))
	if want := `give secret("NAME") to what takes secrets here: env.`; len(findings) != 1 || !strings.Contains(findings[0].Detail, want) {
		t.Errorf("%q is not in\n%s", want, printed(findings))
	}
}

func TestTheLineOfASecretIsNotShownForAnythingElse(t *testing.T) {
	src := app("check \"http\" \"c\" { password = \"hunter2\" }")
	wantFound(t, found(testOptions, "a.hcl", src), `4:1 SV0105 check "http" needs "url"`, `4:31 SV0402 "password" stands in the file`)
	if text := details("a.hcl", src); strings.Contains(text, "hunter2") {
		t.Errorf("a password is repeated:\n%s", text)
	}
}

func TestTheLineThatDefinesASecretIsNotShownWhateverItIsCalled(t *testing.T) {
	if text := details("a.hcl", "locals {\n again = \"hunter2\"\n}\n"+app("env = { PASSWORD = local.again }")); !strings.Contains(text, "SV0402") || strings.Contains(text, "hunter2") {
		t.Errorf("a password is repeated:\n%s", text)
	}
}

func TestASecretInALineThatIsMistakenIsNotRepeated(t *testing.T) {
	for _, line := range []string{
		`env = ["DB_PASSWORD=hunter2abc", "B=c"]`,
		`args = "/bin/serve --password=hunter2abc --verbose"`,
		`env = { DB_PASSWORD = "hunter2abc" B = "c" }`,
		`environment = { "API_TOKEN" : "hunter2abc" }`,
		`tags = "postgres://me:hunter2abc@host/db"`,
		`user = ["/bin/serve", "--password", "hunter2abc"]`,
		`tags = "/bin/serve --password hunter2abc"`,
		`tags = "/bin/sh -c 'serve --password=hunter2abc'"`,
	} {
		_, findings := NewLoader(testOptions).Load(set("a.hcl", "service \"s\" {\n  app \"a\" {\n    command = [\"/bin/true\"]\n    "+line+"\n  }\n}\n"))
		var sarif, json strings.Builder
		findings.WriteSARIF(&sarif, "1")
		findings.WriteJSON(&json)
		if !findings.HasErrors() || strings.Contains(printed(findings)+sarif.String()+json.String(), "hunter2") {
			t.Errorf("%s:\n%s", line, printed(findings))
		}
	}
	for _, line := range []string{`comand = [secret("token")]`, `token_ttl = "1h"`, `env = { PASSWORD_FILE = "/run/x" B = "c" }`, `env = { PASSWORD = secret("db") B = "c" }`} {
		_, findings := NewLoader(testOptions).Load(set("a.hcl", "service \"s\" {\n  app \"a\" {\n    command = [\"/bin/true\"]\n    "+line+"\n  }\n}\n"))
		if !strings.Contains(printed(findings), line) {
			t.Errorf("%s is not shown:\n%s", line, printed(findings))
		}
	}
}

func TestWhatIsOnlyCalledLikeASecretIsNone(t *testing.T) {
	for _, c := range [][2]string{
		{"MAX_TOKEN", "4096"}, {"PAD_TOKEN", "[PAD]"}, {"SEP_TOKEN", "|"}, {"K8S_TLS_SECRET", "web-tls"}, {"IMAGE_PULL_SECRET", "regcred"},
		{"PROXY_AUTHORIZATION", "Negotiate"}, {"FORGOT_PASSWORD", "https://example.org/forgot"}, {"NO_PASSWORD", "0"},
	} {
		if what := inTheOpen(c[0], c[1]); what != "" {
			t.Errorf("%s = %q is taken for %s", c[0], c[1], what)
		}
	}
	for _, word := range []string{"-p3306:3306", "-p127.0.0.1:3306:3306/tcp"} {
		if what := inWord(word, true); what != "" {
			t.Errorf("%s is taken for %s", word, what)
		}
	}
	for _, c := range [][2]string{{"DB_PASSWORD", "https://u:p1@example.org"}, {"DB_PASSWORD", "12"}, {"TOKEN", "abc"}, {"WEB_SECRET", "abc"}} {
		if inTheOpen(c[0], c[1]) == "" {
			t.Errorf("%s = %q is not told", c[0], c[1])
		}
	}
	if inWord("-phunter2", true) == "" || inWord("-p3306", true) == "" {
		t.Error("a password behind -p is not told")
	}
}

func TestTheWordsOfACommandLineInOneTextAreShownWithoutSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"/bin/serve --password=hunter2 -v": `Write "/bin/serve", "--password=…", "-v".`,
		"/bin/serve --token hunter2 -v":    `Write "/bin/serve", "--token", "…", "-v".`,
		"mysqldump -phunter2 orders":       `Write "mysqldump", "…", "orders".`,
		"sh -c 'serve --token hunter2'":    `No shell takes it apart. Write each word`,
	} {
		if got := OneText("command", []string{text}); len(got) != 1 || !strings.Contains(got[0].Detail, want) {
			t.Errorf("%s: %+v, want %s", text, got, want)
		}
	}
	for _, text := range []string{"/opt/My App/bin/run", "run it", "run", "-x"} {
		if got := OneText("command", []string{text}); (len(got) > 0) != (text == "run it") {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
