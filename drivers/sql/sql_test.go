package sql

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

const password = "p&ss/wörd?7e1"

func whole(c Config) Config {
	if c.Query == "" {
		c.Query = defaultQuery
	}
	if c.Role == "" {
		c.Role = roleAny
	}
	if c.TLS == "" {
		c.TLS = tlsPrefer
	}
	return c
}

// asked runs the check once. Where the configuration holds "SECRET" the password is
// meant, as where a file says secret("…").
func asked(t *testing.T, c Config, timeout time.Duration) (drivers.Status, map[string]float64) {
	t.Helper()
	c = whole(c)
	var r drivers.Registry
	Register(&r)
	reveal := func(text string) (string, error) { return strings.ReplaceAll(text, "SECRET", password), nil }
	p, err := r.OpenCheck(drivers.Opening{Reveal: reveal}, &spec.Check{Kind: "sql", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := p.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.Detail, password) || strings.Contains(s.Detail, "p%26ss") {
		t.Errorf("the password is in %q", s.Detail)
	}
	measured := map[string]float64{}
	for _, m := range p.(drivers.Measurer).Measured() {
		measured[m.Label+" "+m.Unit] = m.Value
	}
	return s, measured
}

type expectation struct {
	name   string
	config Config
	detail string // what it contains; "": it passes
}

func holds(t *testing.T, all []expectation) {
	t.Helper()
	for _, c := range all {
		s, m := asked(t, c.config, time.Minute)
		if (s.State == drivers.Up) != (c.detail == "") || !strings.Contains(s.Detail, c.detail) {
			t.Errorf("%s: %+v, want %q", c.name, s, c.detail)
		}
		if _, ok := m["query seconds"]; s.State == drivers.Up && !ok {
			t.Errorf("%s: measured %v", c.name, m)
		}
	}
}

func TestAPostgresIsAskedAsAClientWould(t *testing.T) {
	bin := postgresBin(t)
	s := newServer(t, "postgres")
	s.file(t, "password", password)
	s.run(t, bin+"/initdb", "-D", s.dir+"/data", "-A", "scram-sha-256", "-U", "me", "--pwfile", s.dir+"/password", "--no-sync", "-E", "UTF8", "--locale", "C")
	cert, key := certificate(t)
	s.file(t, "cert.pem", cert)
	s.file(t, "key.pem", key)
	arguments := func(data string, port int) []string {
		return []string{"-D", data, "-k", s.dir, "-h", "127.0.0.1", "-p", fmt.Sprint(port), "-c", "fsync=off", "-c", "ssl=on",
			"-c", "ssl_cert_file=" + s.dir + "/cert.pem", "-c", "ssl_key_file=" + s.dir + "/key.pem", "-c", "max_connections=20"}
	}
	s.start(t, bin+"/postgres", arguments(s.dir+"/data", s.port)...)
	local := Config{Engine: enginePostgres, Host: "127.0.0.1", Port: s.port, User: "me", Password: "SECRET", Database: "postgres"}
	eventually(t, "PostgreSQL is up", func() bool { st, _ := asked(t, local, time.Minute); return st.State == drivers.Up })
	address := fmt.Sprintf("127.0.0.1:%d", s.port)
	with := func(change func(*Config)) Config { c := local; change(&c); return c }
	holds(t, []expectation{
		{"by socket", Config{Engine: enginePostgres, Socket: s.dir, Port: s.port, User: "me", Password: "SECRET", Database: "postgres"}, ""},
		{"by the socket's file", Config{Engine: enginePostgres, Socket: fmt.Sprintf("%s/.s.PGSQL.%d", s.dir, s.port), User: "me", Password: "SECRET", Database: "postgres"}, ""},
		{"by URL", Config{Engine: enginePostgres, URL: "postgresql://me:p%26ss%2Fw%C3%B6rd%3F7e1@" + address + "/postgres"}, ""},
		{"expected", with(func(c *Config) { c.Query, c.Expect = "SELECT 'a', 2", "a" }), ""},
		{"unexpected", with(func(c *Config) { c.Query, c.Expect = "SELECT 'a'", "b" }), `the query gave "a", wanted "b"`},
		{"no row", with(func(c *Config) { c.Query, c.Expect = "SELECT 1 WHERE false", "1" }), `the query gave no row, wanted "1"`},
		{"endless", with(func(c *Config) {
			c.Query, c.Expect = "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)", strings.Repeat("x", 1000)
		}), ""},
		{"mistaken", with(func(c *Config) { c.Query = "SELEKT" }), `refused at ` + address + ` while waiting for the answer to the query: ERROR: syntax error at or near "SELEKT" (SQLSTATE 42601)`},
		{"wrong password", with(func(c *Config) { c.Password = "SECRET2" }), `refused at ` + address + ` while waiting for the connection: FATAL: password authentication failed for user "me"`},
		{"the password as the user", with(func(c *Config) { c.User = "SECRET" }), `password authentication failed for user "(secret)"`},
		{"no such database", with(func(c *Config) { c.Database = "nil" }), `FATAL: database "nil" does not exist (SQLSTATE 3D000)`},
		{"encrypted", with(func(c *Config) {
			c.TLS, c.CA, c.Query, c.Expect = tlsVerify, cert, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "t"
		}), ""},
		{"unknown certificate", with(func(c *Config) { c.TLS = tlsVerify }), "certificate"},
		{"plain", with(func(c *Config) {
			c.TLS, c.Query, c.Expect = tlsOff, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "f"
		}), ""},
		{"primary", with(func(c *Config) { c.Role = rolePrimary }), ""},
		{"no replica", with(func(c *Config) { c.Role = roleReplica }), "it is the primary, wanted a replica"},
		{"nobody there", with(func(c *Config) { c.Port = freePort(t) }), "connection refused at 127.0.0.1:"},
		{"no socket", Config{Engine: enginePostgres, Socket: "/no/such", User: "me"}, "there is no socket at /no/such (does the database run?)"},
	})
	if st, _ := asked(t, with(func(c *Config) { c.Query = "SELECT pg_sleep(1000)" }), 3*time.Second); st.State != drivers.Down || !strings.Contains(st.Detail, "while waiting for the answer to the query at "+address) {
		t.Errorf("%+v", st)
	}
	if _, m := asked(t, with(func(c *Config) { c.Query = "SELECT 42.5" }), time.Minute); m["value "] != 42.5 {
		t.Errorf("measured %v", m)
	}
	eventually(t, "no connection is left", func() bool {
		st, _ := asked(t, with(func(c *Config) {
			c.Query, c.Expect = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'svcctl'", "1"
		}), time.Minute)
		return st.State == drivers.Up
	})
	followed(t, s, bin, local, arguments)
}

// followed adds a replica, and cuts it off.
func followed(t *testing.T, s *server, bin string, primary Config, arguments func(string, int) []string) {
	t.Helper()
	backup := s.command(bin+"/pg_basebackup", "-D", s.dir+"/copy", "-R", "-h", s.dir, "-p", fmt.Sprint(s.port), "-U", "me", "--no-sync", "-c", "fast", "-X", "stream")
	backup.Env = append(backup.Env, "PGPASSWORD="+password)
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	port := freePort(t)
	stop := s.start(t, bin+"/postgres", arguments(s.dir+"/copy", port)...)
	replica := primary
	replica.Port, replica.Role, replica.MaxLag = port, roleReplica, time.Hour
	var m map[string]float64
	eventually(t, "the replica follows", func() bool {
		var st drivers.Status
		st, m = asked(t, replica, time.Minute)
		return st.State == drivers.Up
	})
	if lag, ok := m["lag seconds"]; !ok || lag < 0 {
		t.Errorf("measured %v", m)
	}
	replica.Role = rolePrimary
	holds(t, []expectation{{"a replica for a primary", replica, "it is a replica, wanted the primary"}})
	replica.Role = roleReplica
	stop()
	if err := os.WriteFile(filepath.Join(s.dir, "copy/postgresql.auto.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, bin+"/postgres", arguments(s.dir+"/copy", port)...)
	replica.MaxLag = time.Nanosecond
	eventually(t, "a replica that is cut off fails", func() bool {
		st, _ := asked(t, replica, time.Minute)
		return st.State == drivers.Down && (strings.HasPrefix(st.Detail, "it does not replicate: nothing was replayed") || strings.Contains(st.Detail, " behind the primary, wanted at most 1ns"))
	})
}

func TestAMariaDBIsAskedAsAClientWould(t *testing.T) {
	program := mariadbd(t)
	s := newServer(t, "mysql")
	s.run(t, "mariadb-install-db", "--no-defaults", "--datadir="+s.dir+"/data", "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=4M")
	copyTree(t, s, s.dir+"/data", s.dir+"/copy")
	cert, key := certificate(t)
	s.file(t, "cert.pem", cert)
	s.file(t, "key.pem", key)
	second := freePort(t)
	begin := func(name string, id, port int) {
		s.start(t, program, "--no-defaults", "--datadir="+s.dir+"/"+name, "--socket="+s.dir+"/"+name+".sock", "--pid-file="+s.dir+"/"+name+".pid",
			"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port), fmt.Sprintf("--server-id=%d", id), "--log-bin="+name+"-bin", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M",
			"--performance-schema=off", "--ssl-cert="+s.dir+"/cert.pem", "--ssl-key="+s.dir+"/key.pem", "--innodb-flush-log-at-trx-commit=0")
		root := Config{Engine: engineMySQL, Socket: s.dir + "/" + name + ".sock", User: "root"}
		eventually(t, "MariaDB is up", func() bool { st, _ := asked(t, root, time.Minute); return st.State == drivers.Up })
	}
	begin("data", 1, s.port)
	execute := func(name, statement string) {
		t.Helper()
		m, err := connectMySQL(soon(t), &target{engine: engineMySQL, socket: s.dir + "/" + name + ".sock", user: "root"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.close()
		if _, err := m.(*mariadb).conn.ExecContext(soon(t), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	execute("data", "SET sql_log_bin = 0")
	execute("data", "CREATE USER me@'127.0.0.1' IDENTIFIED BY '"+password+"'")
	local := Config{Engine: engineMySQL, Host: "127.0.0.1", Port: s.port, User: "me", Password: "SECRET"}
	address := fmt.Sprintf("127.0.0.1:%d", s.port)
	with := func(change func(*Config)) Config { c := local; change(&c); return c }
	holds(t, []expectation{
		{"by host", local, ""},
		{"by socket", Config{Engine: engineMySQL, Socket: s.dir + "/data.sock", User: "root", Database: "mysql"}, ""},
		{"by URL", Config{Engine: engineMySQL, URL: "mysql://me:p%26ss%2Fw%C3%B6rd%3F7e1@" + address}, ""},
		{"expected", with(func(c *Config) { c.Query, c.Expect = "SELECT 'a', 2", "a" }), ""},
		{"unexpected", with(func(c *Config) { c.Query, c.Expect = "SELECT 'a'", "b" }), `the query gave "a", wanted "b"`},
		{"no row", with(func(c *Config) { c.Query, c.Expect = "SELECT 1 FROM dual WHERE false", "1" }), `the query gave no row, wanted "1"`},
		{"endless", with(func(c *Config) {
			c.Query = "WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT REPEAT('x', 1000) FROM n a JOIN n b"
			c.Expect = strings.Repeat("x", 1000)
		}), ""},
		{"mistaken", with(func(c *Config) { c.Query = "SELEKT" }), "refused at " + address + " while waiting for the answer to the query: You have an error in your SQL syntax"},
		{"wrong password", with(func(c *Config) { c.Password = "SECRET2" }), "Access denied for user 'me'@'"},
		{"encrypted", with(func(c *Config) { c.TLS, c.CA = tlsVerify, cert }), ""},
		{"unknown certificate", with(func(c *Config) { c.TLS = tlsVerify }), "certificate"},
		{"plain", with(func(c *Config) { c.TLS = tlsOff }), ""},
		{"primary", with(func(c *Config) { c.Role = rolePrimary }), ""},
		{"no replica", with(func(c *Config) { c.Role = roleReplica }), "it is the primary, wanted a replica"},
		{"nobody there", with(func(c *Config) { c.Port = freePort(t) }), "connection refused at 127.0.0.1:"},
		{"no socket", Config{Engine: engineMySQL, Socket: "/no/such", User: "me"}, "there is no socket at /no/such (does the database run?)"},
	})
	if st, _ := asked(t, with(func(c *Config) { c.Query = "SELECT SLEEP(1000)" }), 3*time.Second); st.State != drivers.Down || !strings.Contains(st.Detail, "while waiting for the answer to the query at "+address) {
		t.Errorf("%+v", st)
	}
	begin("copy", 2, second)
	replica := Config{Engine: engineMySQL, Socket: s.dir + "/copy.sock", User: "root", Role: roleReplica, MaxLag: time.Hour}
	execute("copy", "SET GLOBAL read_only = 1")
	holds(t, []expectation{{"it follows nobody", replica, "it does not replicate: no replication is set up"}})
	execute("data", "GRANT REPLICATION SLAVE ON *.* TO me@'127.0.0.1'")
	execute("copy", fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%d, MASTER_USER='me', MASTER_PASSWORD='%s', MASTER_LOG_FILE='data-bin.000001', MASTER_LOG_POS=4", s.port, password))
	execute("copy", "START SLAVE")
	eventually(t, "the replica follows", func() bool { st, _ := asked(t, replica, time.Minute); return st.State == drivers.Up })
	execute("copy", "STOP SLAVE")
	holds(t, []expectation{{"its threads are stopped", replica, "it does not replicate: "}})
}

func TestAServerThatSaysNothingTimesOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, engine := range []string{enginePostgres, engineMySQL} {
		s, _ := asked(t, Config{Engine: engine, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "me", Password: "SECRET"}, 100*time.Millisecond)
		if s.State != drivers.Down || !strings.HasPrefix(s.Detail, "timed out after ") || !strings.HasSuffix(s.Detail, "while waiting for the connection at "+l.Addr().String()) {
			t.Errorf("%s: %+v", engine, s)
		}
	}
}

func TestAServerThatFloodsIsReadNoFurtherThanABound(t *testing.T) {
	for engine, begin := range map[string]string{
		enginePostgres: "S\x7f\xff\xff\xff", // a message that is said to be 2 GiB long
		engineMySQL:    "\xff\xff\xff\x00",  // the first of any number of packets of 16 MiB
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		sent := make(chan int, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				sent <- 0
				return
			}
			defer c.Close()
			n, err := c.Write([]byte(begin))
			for more, zeros := 0, make([]byte, 1<<20); err == nil; n += more {
				more, err = c.Write(zeros)
			}
			sent <- n
		}()
		s, _ := asked(t, Config{Engine: engine, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "me", TLS: "off"}, time.Minute)
		if s.State != drivers.Down || !strings.HasPrefix(s.Detail, "no answer from "+l.Addr().String()+" while waiting for the connection: ") {
			t.Errorf("%s: %+v", engine, s)
		}
		if n := <-sent; n > most+16<<20 { // what the kernel keeps for both sides is beside it
			t.Errorf("%s: %d bytes were taken", engine, n)
		}
	}
}

func TestNoErrorHoldsAURLOrItsPassword(t *testing.T) {
	for _, text := range []string{"SECRET", "postgres://me:SECRET", "postgres://me:SECRET@", "postgres://me:SECRET@h:x/", "postgres://me:SECRET@h/?sslmode=x", "mysql://me:SECRET@h"} {
		p := &prober{config: &Config{Engine: enginePostgres, URL: text}, reveal: func(text string) (string, error) { return strings.ReplaceAll(text, "SECRET", password), nil }}
		_, err := p.Status(t.Context())
		if err == nil || strings.Contains(err.Error(), "ss/w") || strings.Contains(err.Error(), "p&") || !strings.HasPrefix(err.Error(), "cannot check the database: its url ") {
			t.Errorf("%s: %v", text, err)
		}
	}
	p := &prober{config: &Config{Engine: enginePostgres, Password: "x"}, reveal: func(string) (string, error) { return "", syscall.ENOENT }}
	if _, err := p.Status(t.Context()); err == nil {
		t.Error("a secret that is missing is no error")
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	good := whole(Config{Engine: enginePostgres, Host: "db"})
	if found := good.Validate(); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	for _, c := range []struct {
		field  string
		change func(*Config)
	}{
		{"url", func(c *Config) { c.Host, c.URL = "", "mysql://h/" }},
		{"url", func(c *Config) { c.Host, c.URL = "", "postgres:///x" }},
		{"url", func(c *Config) { c.Host, c.URL = "", "postgres://h/x?sslmode=require" }},
		{"host", func(c *Config) { c.URL = "postgres://h/x" }},
		{"host", func(c *Config) { c.Host = "h:5432" }},
		{"port", func(c *Config) { c.Port = 99999 }},
		{"socket", func(c *Config) { c.Host, c.Socket = "", "run/x" }},
		{"socket", func(c *Config) { c.Socket = "/run/x" }},
		{"ca", func(c *Config) { c.CA, c.TLS = "/etc/ca.pem", tlsVerify }},
		{"max_lag", func(c *Config) { c.MaxLag, c.Role = time.Second, rolePrimary }},
	} {
		changed := good
		c.change(&changed)
		if found := changed.Validate(); len(found) != 1 || found[0].Field != c.field {
			t.Errorf("%s: %+v", c.field, found)
		}
	}
}
