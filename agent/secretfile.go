package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSecret bounds the file of one secret.
const maxSecret = 64 << 10

// readSecret reads one secret from a folder. It opens the folder first and the file in
// it, so that what was judged is what is read. An error that is fs.ErrNotExist says
// that there is no such file; none of them holds anything of the value.
func readSecret(folder, name string) ([]byte, error) {
	path := filepath.Join(folder, name)
	if err := checkSecretName(name); err != nil {
		return nil, err
	}
	dir, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open its folder %s: %w", folder, err)
	}
	defer func() { _ = unix.Close(dir) }() // only looked into
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return nil, fmt.Errorf("cannot look at its folder %s: %w", folder, err)
	}
	if err := checkSecretFolder(folder, &st); err != nil {
		return nil, err
	}
	// A FIFO in its place must not hold us up, and a link may lead out of the folder that was judged.
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s is a symbolic link (put the file itself there)", path)
	case err != nil:
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	if err := checkSecretFile(path, &st); err != nil {
		return nil, err
	}
	value, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return secretValue(path, value)
}

func checkSecretName(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q can't be the name of a secret (write letters, digits, \"-\", \"_\" and \".\", which it does not begin with)", name)
	}
	return nil
}

func ours(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

func checkSecretFolder(path string, st *unix.Stat_t) error {
	switch {
	case !ours(st.Uid):
		return fmt.Errorf("its folder %s belongs to user %d (chown root %s)", path, st.Uid, path)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("others may write into its folder %s, which has mode %04o (chmod go-w %s)", path, st.Mode&0o7777, path)
	default:
		return nil
	}
}

func checkSecretFile(path string, st *unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s is not a regular file (put the value into a file of that name)", path)
	case !ours(st.Uid):
		return fmt.Errorf("%s belongs to user %d (chown root %s)", path, st.Uid, path)
	case st.Mode&0o077 != 0:
		return fmt.Errorf("others than its owner may use %s, which has mode %04o (chmod 0600 %s)", path, st.Mode&0o7777, path)
	case st.Size > maxSecret:
		return fmt.Errorf("%s is larger than %d bytes (keep only the value in it)", path, maxSecret)
	default:
		return nil
	}
}

// secretValue is the content without the newline that an editor puts at its end.
func secretValue(path string, content []byte) ([]byte, error) {
	value := bytes.TrimSuffix(content, []byte("\n"))
	switch {
	case len(content) > maxSecret: // it grew while it was read
		return nil, fmt.Errorf("%s is larger than %d bytes (keep only the value in it)", path, maxSecret)
	case len(value) == 0:
		return nil, fmt.Errorf("%s is empty (write the value into it)", path)
	case bytes.IndexByte(value, 0) >= 0:
		return nil, fmt.Errorf("%s holds a NUL byte, which no argument or variable can (is it a binary file? encode it)", path)
	default:
		return value, nil
	}
}
