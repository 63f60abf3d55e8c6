package spec

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// notText says why a file is no text, or text that is not UTF-8.
func notText(name string, src []byte) (Finding, bool) {
	at, detail := invalidUTF8(src), ""
	nul := bytes.IndexByte(src, 0)
	switch {
	case bytes.HasPrefix(src, []byte("\xff\xfe")), bytes.HasPrefix(src, []byte("\xfe\xff")):
		at, detail = 0, "It is UTF-16: save the file as UTF-8."
	case nul >= 0 && (at < 0 || nul <= at+1):
		at, detail = nul, "It holds bytes that are 0, as programs, archives and UTF-16 do: save it as text, in UTF-8."
	case at >= 0:
		detail = fmt.Sprintf("Byte 0x%02x is not part of a UTF-8 character: save the file as UTF-8.", src[at])
	default:
		if at = loneReturn(src); at < 0 {
			return Finding{}, false
		}
		detail = "A line ends with CR alone: save the file with LF, or CR LF, at the end of lines."
	}
	return newFinding(codeEncoding, rangeAt(name, src, at, 1), detail), true
}

// loneReturn is where a carriage return stands that no line feed follows, -1 if nowhere.
func loneReturn(src []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(src[at:], '\r')
		if i < 0 {
			return -1
		}
		if at += i; at+1 == len(src) || src[at+1] != '\n' {
			return at
		}
	}
}

// readFile reads a file of at most limit bytes, and one byte more of a longer one. It is
// an error where the file is another afterwards, or none.
func readFile(fsys fs.FS, p string, limit int64) (src []byte, err error) {
	for range 2 {
		var same bool
		if src, same, err = readOnce(fsys, p, limit); err != nil || same {
			return src, err
		}
	}
	return nil, fmt.Errorf("%s changed while it was read: load the set again", p)
}

func readOnce(fsys fs.FS, p string, limit int64) (src []byte, same bool, err error) {
	f, err := fsys.Open(p)
	if err != nil {
		return nil, false, err
	}
	defer f.Close() // it was only read
	before, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if !before.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is not a regular file", p)
	}
	var b bytes.Buffer
	b.Grow(int(min(before.Size(), limit)) + bytes.MinRead)
	if _, err = b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, false, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	same = after.Size() == before.Size() && after.ModTime().Equal(before.ModTime()) && (int64(b.Len()) == after.Size() || int64(b.Len()) > limit)
	return b.Bytes(), same, nil
}

const (
	maxSummary = 300 // characters of a finding
	maxDetail  = 2000
)

// plainText is text that a terminal shows and does not obey: whatever it holds that can't
// be seen is written as an escape. Line feeds stay.
func plainText(s string) string {
	if strings.IndexFunc(s, unseen) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == utf8.RuneError && strings.HasPrefix(s[i:], "\ufffd"):
			b.WriteRune(c)
		case c == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unseen(c):
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func unseen(c rune) bool { return c != '\n' && !unicode.IsPrint(c) }

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }

// clipped is the beginning of a long text.
func clipped(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s[:min(len(s), 4*most)])[:most]) + "…"
}
