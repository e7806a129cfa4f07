//go:build ignore

// Cost draws docs/images/cost-light.svg and cost-dark.svg: what Hubwire needs for
// some of the rows of docs/performance.md, as a part of what the cheaper of ASP.NET
// Core 10 and 11 needs. The argument is the folder to write to; it runs in the
// repository's root.
//
//	go run docs/images/cost.go docs/images
package main

import (
	"fmt"
	"html"
	"log"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// theme is the colours of one picture. Its background is transparent.
type theme struct{ text, faint, theirs, ours string }

var themes = map[string]theme{
	"light": {text: "#1f2328", faint: "#59636e", theirs: "#d1d9e0", ours: "#0b6bcb"},
	"dark":  {text: "#f0f6fc", faint: "#9198a1", theirs: "#3d444d", ours: "#2f81f7"},
}

// shown are rows of the page by their first cell, and what the picture calls them.
var shown = [][2]string{
	{"echo JSON, 1 in flight", "call, one at a time"},
	{"echo JSON, 16 in flight", "call, 16 in flight"},
	{"echo MessagePack, 16 in flight", "the same in MessagePack"},
	{"struct of 12 members, 16 in flight", "call with a struct"},
	{"broadcast to 1,000, 1 in flight", "broadcast to 1,000"},
	{"broadcast to 1,000, 16 in flight", "the same, 16 in flight"},
	{"groups 50 x 20, 8 in flight", "send to a group of 20"},
	{"with Redis: broadcast to 1,000, 16 in flight", "broadcast over Redis"},
	{"connect + close", "connect and close"},
	{"idle WebSocket, bytes", "memory of an idle client"},
}

const (
	width, left, bar   = 840, 210, 540
	first, step, thick = 62, 30, 18
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("the argument is the folder to write to")
	}
	page, err := os.ReadFile("docs/performance.md")
	if err != nil {
		log.Fatal(err)
	}
	ratios, err := read(string(page))
	if err != nil {
		log.Fatal(err)
	}
	for name, t := range themes {
		if err := os.WriteFile(filepath.Join(os.Args[1], "cost-"+name+".svg"), []byte(draw(t, ratios)), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// read returns the ratio of each row that is shown, from the tables that have both
// ASP.NET Core and Hubwire as columns.
func read(page string) (map[string]float64, error) {
	ratios := map[string]float64{}
	var ours int
	var theirs []int
	for _, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") {
			ours, theirs = 0, nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if theirs == nil { // a head
			for i, cell := range cells {
				switch cell {
				case "Hubwire":
					ours = i
				case "ASP.NET Core 10", "11":
					theirs = append(theirs, i)
				}
			}
			continue
		}
		if ours == 0 {
			continue
		}
		least := math.Inf(1)
		for _, i := range theirs {
			if n, err := number(cells[i]); err == nil {
				least = min(least, n)
			}
		}
		if n, err := number(cells[ours]); err == nil && !math.IsInf(least, 1) {
			ratios[cells[0]] = n / least
		}
	}
	for _, row := range shown {
		if ratios[row[0]] == 0 {
			return nil, fmt.Errorf("docs/performance.md has no row %q", row[0])
		}
	}
	return ratios, nil
}

// number reads 1,234.5, whatever unit comes after it.
func number(cell string) (float64, error) {
	cell, _, _ = strings.Cut(cell, " ")
	return strconv.ParseFloat(strings.ReplaceAll(cell, ",", ""), 64)
}

func draw(t theme, ratios map[string]float64) string {
	var p strings.Builder
	label := func(x, y int, anchor, colour, text string) {
		fmt.Fprintf(&p, `<text x="%d" y="%d" font-size="13" fill="%s" text-anchor="%s">%s</text>`+"\n", x, y, colour, anchor, html.EscapeString(text))
	}
	rect := func(y, w int, colour string) {
		fmt.Fprintf(&p, `<rect x="%d" y="%d" width="%d" height="%d" rx="3" fill="%s"/>`+"\n", left, y, w, thick, colour)
	}
	height := first + step*len(shown)
	fmt.Fprintf(&p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif">
<title>CPU time and memory of Hubwire beside ASP.NET Core, by docs/performance.md</title>
`, width, height, width, height)
	label(left, 20, "start", t.text, "CPU time of the server, and memory, as a part of what ASP.NET Core needs")
	label(left, 42, "start", t.faint, "the whole bar: the cheaper of ASP.NET Core 10 and 11, warmed up; give or take 10 %")
	for i, row := range shown {
		y, ratio := first+i*step, ratios[row[0]]
		label(left-12, y+14, "end", t.text, row[1])
		rect(y, bar, t.theirs)
		rect(y, int(min(ratio, 1)*bar), t.ours)
		label(left+bar+12, y+14, "start", t.text, fmt.Sprintf("%.0f %%", ratio*100))
	}
	p.WriteString("</svg>\n")
	return p.String()
}
