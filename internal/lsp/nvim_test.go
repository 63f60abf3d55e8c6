package lsp

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite what Neovim is to see")

// program builds svcctl as users have it.
func program(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "svcctl")
	build := exec.Command("go", "build", "-o", bin, "../../cmd/svcctl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build svcctl: %v\n%s", err, out)
	}
	return bin
}

// neovim runs a script in an editor that has no configuration of anybody.
func neovim(t *testing.T, script string, env ...string) {
	t.Helper()
	nvim, err := exec.LookPath("nvim")
	if err != nil {
		t.Skip("needs nvim (package neovim)")
	}
	home := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, nvim, "--headless", "--clean", "-n", "-c", "luafile "+script)
	c.Env = append(os.Environ(), append(env, "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		t.Errorf("nvim: %v\n%s", err, said.String())
	}
	if strings.Contains(said.String(), "Error") {
		t.Errorf("nvim says\n%s", said.String())
	}
}

func copySet(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a set")
	if err := os.CopyFS(dir, os.DirFS("testdata/set")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNeovimIsServedFromOpenToExit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "seen")
	set := copySet(t)
	neovim(t, "testdata/session.lua", "SVCCTL="+program(t), "SET="+set, "OUT="+out)
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/session.want", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/session.want")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("Neovim saw\n%s\nwant\n%s", got, want)
	}
	renamed, err := os.ReadFile(filepath.Join(set, "values.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(renamed), `listen = "--listen=${var.address}"`) {
		t.Errorf("the other file holds\n%s", renamed)
	}
}

// What the manual tells people to write, but for the folder of the program.
func TestTheManualsSettingsForNeovimServeAFile(t *testing.T) {
	page, err := os.ReadFile("../../docs/editors.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```lua\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d blocks of Lua, want those for 0.11 and before", len(blocks))
	}
	set, out := copySet(t), filepath.Join(t.TempDir(), "seen")
	script := filepath.Join(t.TempDir(), "init.lua")
	rest := `
vim.cmd("filetype on")
vim.cmd("edit orders.hcl")
vim.bo.filetype = "hcl"
local seen = vim.wait(30000, function() return #vim.diagnostic.get(0) > 0 end, 10)
vim.fn.writefile({ seen and vim.diagnostic.get(0)[1].message or "nothing" }, vim.env.OUT)
vim.cmd("qall!")
`
	for i, block := range blocks {
		code := "if vim.lsp.config == nil then\n" + string(block[1]) + "end\n"
		if i == 0 {
			code = "if vim.lsp.config ~= nil then\n" + string(block[1]) + "end\n"
		}
		rest = code + rest
	}
	if err := os.WriteFile(script, []byte("vim.cmd(\"cd \" .. vim.fn.fnameescape(vim.env.SET))\n"+rest), 0o644); err != nil {
		t.Fatal(err)
	}
	neovim(t, script, "SET="+set, "OUT="+out, "PATH="+filepath.Dir(program(t))+":"+os.Getenv("PATH"))
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), `ip has no argument "intrface"`) {
		t.Errorf("Neovim shows %s", got)
	}
}
