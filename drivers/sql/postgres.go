package sql

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// goodbye bounds the end of a connection.
const goodbye = time.Second

type postgres struct{ conn *pgconn.PgConn }

func connectPostgres(ctx context.Context, t *target) (session, error) {
	// What the agent's own environment says of databases is no business of a check.
	c, err := pgconn.ParseConfig("host=/ port=1 user=x dbname=x password=x sslmode=disable passfile=/dev/null")
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	port, err := strconv.ParseUint(t.port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q is no port", t.port)
	}
	c.Host, c.Port, c.Fallbacks = t.host, uint16(port), nil
	c.User, c.Password, c.Database = t.user, t.password, t.database
	c.RuntimeParams = map[string]string{"application_name": "svcctl"}
	if t.socket != "" {
		c.Host = t.socket
		if dir, number, found := strings.Cut(t.socket, "/.s.PGSQL."); found {
			if port, err = strconv.ParseUint(number, 10, 16); err == nil {
				c.Host, c.Port = filepath.Clean("/"+dir), uint16(port)
			}
		}
	}
	c.DialFunc, c.MaxProtocolMessageBodyLen = dial, most
	encrypted, optional := t.encryption()
	c.TLSConfig = encrypted
	if optional {
		c.Fallbacks = []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port}}
	}
	conn, err := pgconn.ConnectConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	return &postgres{conn}, nil
}

func (p *postgres) first(ctx context.Context, query string) (text string, rows bool, err error) {
	all := p.conn.Exec(ctx, query)
	for all.NextResult() {
		r := all.ResultReader()
		if r.NextRow() {
			// What follows is not read: the connection ends, and with it the query.
			if values := r.Values(); len(values) > 0 {
				text = string(values[0])
			}
			return text, true, nil
		}
	}
	return "", false, all.Close()
}

// row asks for one row, and reads it whole so that another question can follow.
func (p *postgres) row(ctx context.Context, query string) ([]string, error) {
	results, err := p.conn.Exec(ctx, query).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return nil, errors.New("the server gave no row where there is always one")
	}
	var row []string
	for _, v := range results[0].Rows[0] {
		row = append(row, string(v))
	}
	return row, nil
}

func (p *postgres) replica(ctx context.Context) (bool, error) {
	r, err := p.row(ctx, "SELECT pg_is_in_recovery()")
	if err != nil {
		return false, err
	}
	return r[0] == "t", nil
}

// lag is the age of what was replayed last. A primary without writes sends nothing, so
// that a replica which has replayed all it got is not behind, as long as it gets any.
func (p *postgres) lag(ctx context.Context) (time.Duration, string, error) {
	r, err := p.row(ctx, `SELECT EXISTS (SELECT FROM pg_stat_wal_receiver),
		pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn(),
		COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8, -1)`)
	if err != nil {
		return 0, "", err
	}
	age, err := strconv.ParseFloat(r[2], 64)
	if err != nil {
		return 0, "", err
	}
	switch {
	case r[0] == "t" && r[1] == "t":
		return 0, "", nil
	case age < 0:
		return 0, "nothing was replayed since it was started, and it receives nothing (see its primary_conninfo)", nil
	}
	return time.Duration(age * float64(time.Second)), "", nil
}

func (p *postgres) close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	p.conn.Close(ctx)
}

func refusedByPostgres(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return fmt.Sprintf("%s: %s (SQLSTATE %s)", said.Severity, said.Message, said.Code)
	}
	return ""
}
