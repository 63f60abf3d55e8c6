package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

type mariadb struct {
	pool *sql.DB // of one connection
	conn *sql.Conn
}

func connectMySQL(ctx context.Context, t *target) (session, error) {
	c := mysql.NewConfig()
	c.Logger = &mysql.NopLogger{} // its complaints are returned as errors as well
	c.User, c.Passwd, c.DBName = t.user, t.password, t.database
	c.Net, c.Addr = "tcp", net.JoinHostPort(t.host, t.port)
	if t.socket != "" {
		c.Net, c.Addr = "unix", t.socket
	}
	c.DialFunc = dial
	c.TLS, c.AllowFallbackToPlaintext = t.encryption()
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	m := &mariadb{pool: sql.OpenDB(connector)}
	m.pool.SetMaxOpenConns(1)
	if m.conn, err = m.pool.Conn(ctx); err != nil {
		m.pool.Close()
		return nil, err
	}
	return m, nil
}

func (m *mariadb) first(ctx context.Context, query string) (text string, rows bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what follows the first row is not read
	r, err := m.conn.QueryContext(ctx, query)
	if err != nil {
		return "", false, err
	}
	if !r.Next() {
		return "", false, errors.Join(r.Err(), r.Close())
	}
	names, err := r.Columns()
	if err != nil || len(names) == 0 {
		return "", true, err
	}
	values := make([]any, len(names))
	for i := range values {
		values[i] = new(sql.RawBytes)
	}
	if err := r.Scan(values...); err != nil {
		return "", true, err
	}
	text = string(*values[0].(*sql.RawBytes))
	cancel()
	r.Close() // its error is the cancellation's
	return text, true, nil
}

func (m *mariadb) replica(ctx context.Context) (bool, error) {
	var readOnly string
	if err := m.conn.QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly); err != nil {
		return false, err
	}
	return readOnly != "0" && readOnly != "OFF", nil
}

func (m *mariadb) lag(ctx context.Context) (time.Duration, string, error) {
	r, err := m.conn.QueryContext(ctx, "SHOW SLAVE STATUS")
	var said *mysql.MySQLError
	if errors.As(err, &said) && said.Number == 1064 { // MySQL 8.4 no longer knows the word
		r, err = m.conn.QueryContext(ctx, "SHOW REPLICA STATUS")
	}
	if err != nil {
		return 0, "", err
	}
	defer r.Close()
	names, err := r.Columns()
	if err != nil {
		return 0, "", err
	}
	if !r.Next() {
		return 0, "no replication is set up", r.Err()
	}
	values := make([]any, len(names))
	for i := range values {
		values[i] = new(sql.NullString)
	}
	if err := r.Scan(values...); err != nil {
		return 0, "", err
	}
	var behind, why sql.NullString
	for i, name := range names {
		v := *values[i].(*sql.NullString)
		switch name {
		case "Seconds_Behind_Master", "Seconds_Behind_Source":
			behind = v
		case "Last_IO_Error", "Last_SQL_Error":
			if v.String != "" {
				why = v
			}
		}
	}
	if !behind.Valid {
		if why.String == "" {
			why.String = "its threads do not run (SHOW SLAVE STATUS)"
		}
		return 0, why.String, nil
	}
	seconds, err := strconv.ParseInt(behind.String, 10, 64)
	return time.Duration(seconds) * time.Second, "", err
}

func (m *mariadb) close() {
	m.conn.Close()
	m.pool.Close()
}

func refusedByMySQL(err error) string {
	var said *mysql.MySQLError
	if errors.As(err, &said) {
		return fmt.Sprintf("%s (error %d)", said.Message, said.Number)
	}
	return ""
}
