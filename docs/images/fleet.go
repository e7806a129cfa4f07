//go:build ignore

// Fleet draws docs/images/fleet-light.svg and fleet-dark.svg: clients, nodes and
// Redis. The argument is the folder to write to.
//
//	go run docs/images/fleet.go docs/images
package main

import (
	"fmt"
	"html"
	"log"
	"os"
	"path/filepath"
	"strings"
)

// theme is the colours of one picture. Its background is transparent.
type theme struct{ text, faint, line, box, ours, oursText string }

var themes = map[string]theme{
	"light": {text: "#1f2328", faint: "#59636e", line: "#818b98", box: "#f6f8fa", ours: "#0b6bcb", oursText: "#ffffff"},
	"dark":  {text: "#f0f6fc", faint: "#9198a1", line: "#656c76", box: "#151b23", ours: "#2f81f7", oursText: "#ffffff"},
}

const (
	width, height = 840, 316
	boxHeight     = 56
)

type picture struct {
	strings.Builder
	theme
}

// box is a rectangle with a title and a line below it.
func (p *picture) box(x, y, w int, title, below string, ours bool) {
	fill, title1, below1 := p.theme.box, p.text, p.faint
	if ours {
		fill, title1, below1 = p.ours, p.oursText, p.oursText
	}
	fmt.Fprintf(p, `<rect x="%d" y="%d" width="%d" height="%d" rx="8" fill="%s" stroke="%s"/>`+"\n", x, y, w, boxHeight, fill, p.line)
	p.label(x+w/2, y+24, 14, "600", title1, title)
	p.label(x+w/2, y+43, 12, "400", below1, below)
}

func (p *picture) label(x, y, size int, weight, colour, text string) {
	fmt.Fprintf(p, `<text x="%d" y="%d" font-size="%d" font-weight="%s" fill="%s" text-anchor="middle">%s</text>`+"\n", x, y, size, weight, colour, html.EscapeString(text))
}

// arrow goes both ways.
func (p *picture) arrow(x1, y1, x2, y2 int) {
	fmt.Fprintf(p, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="1.5" marker-start="url(#tip)" marker-end="url(#tip)"/>`+"\n", x1, y1, x2, y2, p.line)
}

func draw(t theme) string {
	p := &picture{theme: t}
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif">
<title>Unchanged SignalR clients reach Go nodes and ASP.NET Core nodes, which share one Redis</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="%s"/></marker></defs>
`, width, height, width, height, t.line)
	p.label(110, 24, 13, "400", t.faint, "unchanged clients")
	p.label(465, 24, 13, "400", t.faint, "one hub, several nodes")
	rows := []int{40, 128, 216}
	for i, c := range [][2]string{{"Angular, browsers", "@microsoft/signalr"}, {".NET", "HubConnection"}, {"Java, Python, ...", "any SignalR client"}} {
		p.box(10, rows[i], 200, c[0], c[1], false)
		p.arrow(214, rows[i]+boxHeight/2, 256, 156+(rows[i]-128)/3)
	}
	p.box(260, 128, 84, "balancer", "sticky", false)
	nodes := [][2]string{{"your Go program", "Hubwire"}, {"your Go program", "Hubwire"}, {"ASP.NET Core node", "if you have one"}}
	for i, n := range nodes {
		p.arrow(348, 156+(rows[i]-128)/3, 386, rows[i]+boxHeight/2)
		p.box(390, rows[i], 170, n[0], n[1], i < 2)
		p.arrow(564, rows[i]+boxHeight/2, 636, 156+(rows[i]-128)/3)
	}
	p.box(640, 128, 190, "Redis", "scheme of ASP.NET Core", false)
	p.label(110, 300, 12, "400", t.faint, "WebSockets, SSE, long polling")
	p.label(475, 300, 12, "400", t.faint, "JSON and MessagePack")
	p.label(735, 300, 12, "400", t.faint, "not needed for one node")
	p.WriteString("</svg>\n")
	return p.String()
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("the argument is the folder to write to")
	}
	for name, t := range themes {
		if err := os.WriteFile(filepath.Join(os.Args[1], "fleet-"+name+".svg"), []byte(draw(t)), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
