package main

// This file draws the plots.

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bar is a value of a chart: a group on the X axis, a colour within it.
type bar struct {
	group, name string
	value       spread
}

// curve is a distribution of latencies.
type curve struct {
	name   string
	sorted []float64
}

type drawing struct {
	file, title, x, y string
	kind              drawingKind
}

type drawingKind int

const (
	bars   drawingKind = iota // a bar for each name
	lines                     // a line for each name over the groups, which are numbers
	shares                    // which share of a curve's values is above x
)

func (s *section) plot(group, name string, value spread) {
	s.bars = append(s.bars, bar{group, name, value})
}

func (s *section) curve(name string, sorted []float64) {
	s.lines = append(s.lines, curve{name, sorted})
}

func (s *section) draw(dir string) error {
	if s.drawing == nil {
		return nil
	}
	p := plot.New()
	p.Title.Text = s.drawing.title
	p.Title.Padding = vg.Points(6)
	p.BackgroundColor = white
	width, height := 18*vg.Centimeter, 10*vg.Centimeter
	var err error
	switch s.drawing.kind {
	case bars:
		height = vg.Length(len(s.bars))*0.8*vg.Centimeter + 3*vg.Centimeter
		err = s.drawBars(p)
	case lines:
		err = s.drawLines(p)
	case shares:
		err = s.drawShares(p)
	}
	if err != nil {
		return err
	}
	return p.Save(width, height, filepath.Join(dir, s.drawing.file+".svg"))
}

func (s *section) drawBars(p *plot.Plot) error {
	p.X.Label.Text = s.drawing.y
	p.X.Min = 0
	values, names := make(plotter.Values, len(s.bars)), make([]string, len(s.bars))
	errors := struct {
		plotter.XYs
		plotter.XErrors
	}{make(plotter.XYs, len(s.bars)), make(plotter.XErrors, len(s.bars))}
	for i, b := range s.bars {
		k := len(s.bars) - 1 - i // the first one on top
		values[k], names[k] = b.value.median, b.name
		errors.XYs[k] = plotter.XY{X: b.value.median, Y: float64(k)}
		errors.XErrors[k].Low, errors.XErrors[k].High = b.value.median-b.value.low, b.value.high-b.value.median
	}
	c, err := plotter.NewBarChart(values, 12)
	if err != nil {
		return err
	}
	c.Horizontal = true
	c.Color = plotutil.Color(2)
	c.LineStyle.Width = 0
	e, err := plotter.NewXErrorBars(errors)
	if err != nil {
		return err
	}
	p.Add(c, e)
	p.NominalY(names...)
	return nil
}

func (s *section) drawLines(p *plot.Plot) error {
	p.X.Label.Text, p.Y.Label.Text = s.drawing.x, s.drawing.y
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	points := map[string]plotter.XYs{}
	var names []string
	var groups []float64
	for _, b := range s.bars {
		x, err := strconv.ParseFloat(b.group, 64)
		if err != nil {
			return err
		}
		if points[b.name] == nil {
			names = append(names, b.name)
		}
		points[b.name] = append(points[b.name], plotter.XY{X: x, Y: b.value.median})
		groups = append(groups, x)
	}
	if slices.Max(groups) > 100 {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	}
	for i, name := range names {
		l, dots, err := plotter.NewLinePoints(points[name])
		if err != nil {
			return err
		}
		style(i, l, dots)
		p.Add(l, dots)
		p.Legend.Add(name, l, dots)
	}
	p.Legend.Top = true
	p.Y.Max *= 3 // room for the legend
	return nil
}

func (s *section) drawShares(p *plot.Plot) error {
	p.X.Label.Text, p.Y.Label.Text = "latency above", "share of the wake-ups"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{time: true}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	for i, c := range s.lines {
		n := len(c.sorted)
		var xy plotter.XYs
		for k := 0; k < n; {
			xy = append(xy, plotter.XY{X: max(c.sorted[k], 1), Y: float64(n-k) / float64(n)})
			k += max(1, (n-k)/50) // as fine as it is rare
		}
		l, err := plotter.NewLine(xy)
		if err != nil {
			return err
		}
		style(i, l, nil)
		p.Add(l)
		p.Legend.Add(c.name, l)
	}
	p.Legend.Top = true
	p.X.Max *= 20 // room for the legend
	return nil
}

func style(i int, l *plotter.Line, dots *plotter.Scatter) {
	l.Color, l.Width = plotutil.Color(i), vg.Points(1.5)
	l.Dashes = plotutil.Dashes(i / 7)
	if dots != nil {
		dots.Color, dots.Shape = plotutil.Color(i), draw.CircleGlyph{}
	}
}

// decades marks the powers of ten.
var white = color.White

type decades struct{ time bool }

func (d decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		v := math.Pow(10, e)
		label := fmt.Sprintf("%g", v)
		if d.time {
			label = map[float64]string{0: "1 ns", 1: "10 ns", 2: "100 ns", 3: "1 µs", 4: "10 µs", 5: "100 µs", 6: "1 ms", 7: "10 ms", 8: "100 ms", 9: "1 s"}[e]
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
		for k := 2.0; k < 10; k++ {
			ticks = append(ticks, plot.Tick{Value: v * k})
		}
	}
	return ticks
}
