package admission

// A lateHeap has the address that is ready first on top.
type lateHeap []*entry

func (h lateHeap) Len() int           { return len(h) }
func (h lateHeap) Less(i, j int) bool { return h[i].Value.readyAt < h[j].Value.readyAt }
func (h lateHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].Value.lateAt, h[j].Value.lateAt = i+1, j+1
}

func (h *lateHeap) Push(x any) {
	e := x.(*entry)
	*h = append(*h, e)
	e.Value.lateAt = len(*h)
}

func (h *lateHeap) Pop() any {
	all := *h
	e := all[len(all)-1]
	all[len(all)-1] = nil
	*h = all[:len(all)-1]
	e.Value.lateAt = 0
	return e
}

// A fullHeap has the address with most clients that wait on top.
type fullHeap []*entry

func (h fullHeap) Len() int           { return len(h) }
func (h fullHeap) Less(i, j int) bool { return h[i].Value.waiting.Len() > h[j].Value.waiting.Len() }
func (h fullHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].Value.fullAt, h[j].Value.fullAt = i+1, j+1
}

func (h *fullHeap) Push(x any) {
	e := x.(*entry)
	*h = append(*h, e)
	e.Value.fullAt = len(*h)
}

func (h *fullHeap) Pop() any {
	all := *h
	e := all[len(all)-1]
	all[len(all)-1] = nil
	*h = all[:len(all)-1]
	e.Value.fullAt = 0
	return e
}
