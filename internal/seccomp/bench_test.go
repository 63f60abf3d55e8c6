package seccomp

import "testing"

func BenchmarkCompileDefault(b *testing.B) {
	h, err := Here(nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Default().Compile(h); err != nil {
			b.Fatal(err)
		}
	}
}
