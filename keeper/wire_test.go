package keeper

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestAMessageThatAnnouncesTooMuchIsRefused(t *testing.T) {
	for _, head := range []string{"\x7f\xff\xff\xff", "\xff\xff\xff\xff"} { // the second is negative where an int has 32 bits
		_, _, err := readFrame(bufio.NewReader(bytes.NewBufferString(head+"{}")), nil)
		if err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%q: %v", head, err)
		}
	}
}
