package main
import ("fmt";"os";"github.com/trialwatch/trialwatch/internal/mutation";"github.com/trialwatch/trialwatch/rules/protocol";"errors")
func main(){
 text,_ := os.ReadFile(os.Args[1])
 ms,err := mutation.Of(text)
 fmt.Println(len(ms), err)
 n:=0
 for _,m := range ms { _,err := protocol.Parse("p", m.Text); s := "ok"; if err!=nil { n++; var es protocol.Errors; errors.As(err,&es); s = es[0].Error() }
  fmt.Printf("%d:%d %s: %s   %s\n", m.Line,m.Column,m.Path,m.Change, s) }
 fmt.Println(n)
}
