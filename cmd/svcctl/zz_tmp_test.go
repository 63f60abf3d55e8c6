package main
import "testing"
func BenchmarkTmp(b *testing.B){ b.ReportAllocs(); for b.Loop(){ s,f,err:=loadPath("/tmp/t-speed/set1000","",true); if err!=nil||s==nil {b.Fatal(err,f)} } }
