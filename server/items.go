package server

import (
	"reflect"
)

// itemQueue is what waits of an upload stream for its method: a channel of the
// type of its items. Only the leader of the connection puts items into it.
type itemQueue interface {
	// variable is a pointer to the zero value of an item, for the next one.
	variable() any
	// tryAdd adds what is in the variable if there is space.
	tryAdd() bool
	// add waits for space, until one of the two is closed.
	add(done, over <-chan struct{})
	close()
	// argument is what the method is given: a channel, or an iter.Seq2, which ends
	// with the error of failure.
	argument(t reflect.Type, failure func() error) reflect.Value
}

// An itemType is how items of one type are streamed, in both directions.
type itemType interface {
	queue(capacity int) itemQueue
	// receive takes items from source, a channel, until that or done is closed, or
	// send reports false.
	receive(source reflect.Value, done <-chan struct{}, send func(any) bool)
	// stream takes all items from source, an iterator of the given shape.
	stream(source reflect.Value, shape resultShape, to *itemSink)
}

// itemTypes are the types whose items are streamed without reflection, which costs
// about half a microsecond and several allocations for each item. No generic
// function can be made for a type that is known only when the hub is registered, so
// these are the ones that most streams are of; all others are itemsByReflection.
var itemTypes = map[reflect.Type]itemType{
	reflect.TypeFor[string]():  itemsOf[string]{},
	reflect.TypeFor[bool]():    itemsOf[bool]{},
	reflect.TypeFor[int]():     itemsOf[int]{},
	reflect.TypeFor[int32]():   itemsOf[int32]{},
	reflect.TypeFor[int64]():   itemsOf[int64]{},
	reflect.TypeFor[float32](): itemsOf[float32]{},
	reflect.TypeFor[float64](): itemsOf[float64]{},
	reflect.TypeFor[[]byte]():  itemsOf[[]byte]{},
	reflect.TypeFor[any]():     itemsOf[any]{},
}

// itemTypeOf returns how items of type t are streamed.
func itemTypeOf(t reflect.Type) itemType {
	if known, ok := itemTypes[t]; ok {
		return known
	}
	return itemsByReflection{t}
}

// itemsOf streams items of type T.
type itemsOf[T any] struct{}

func (itemsOf[T]) queue(capacity int) itemQueue {
	return &typedQueue[T]{items: make(chan T, capacity)}
}

func (itemsOf[T]) receive(source reflect.Value, done <-chan struct{}, send func(any) bool) {
	items := source.Convert(reflect.TypeFor[<-chan T]()).Interface().(<-chan T)
	for {
		select {
		case item, ok := <-items:
			if !ok || !send(item) {
				return
			}
		case <-done:
			return
		}
	}
}

func (itemsOf[T]) stream(source reflect.Value, shape resultShape, to *itemSink) {
	if shape == seq2Result {
		type seq2 = func(func(T, error) bool)
		source.Convert(reflect.TypeFor[seq2]()).Interface().(seq2)(func(item T, err error) bool {
			if err != nil {
				return to.fail(err)
			}
			return to.put(item)
		})
		return
	}
	type seq = func(func(T) bool)
	source.Convert(reflect.TypeFor[seq]()).Interface().(seq)(func(item T) bool { return to.put(item) })
}

type typedQueue[T any] struct {
	items chan T
	next  T
}

func (q *typedQueue[T]) variable() any {
	var zero T
	q.next = zero
	return &q.next
}

func (q *typedQueue[T]) tryAdd() bool {
	select {
	case q.items <- q.next:
		return true
	default:
		return false
	}
}

func (q *typedQueue[T]) add(done, over <-chan struct{}) {
	select {
	case q.items <- q.next:
	case <-done:
	case <-over:
	}
}

func (q *typedQueue[T]) close() { close(q.items) }

func (q *typedQueue[T]) argument(t reflect.Type, failure func() error) reflect.Value {
	if t.Kind() == reflect.Chan {
		return reflect.ValueOf(q.items).Convert(t)
	}
	return reflect.ValueOf(func(yield func(T, error) bool) {
		for item := range q.items {
			if !yield(item, nil) {
				return
			}
		}
		if err := failure(); err != nil {
			var none T
			yield(none, err)
		}
	}).Convert(t)
}

// itemsByReflection streams items of any type.
type itemsByReflection struct{ t reflect.Type }

func (i itemsByReflection) queue(capacity int) itemQueue {
	return &reflectQueue{
		items: reflect.MakeChan(reflect.ChanOf(reflect.BothDir, i.t), capacity),
		next:  reflect.New(i.t).Elem(),
		fresh: decodesItself(i.t),
	}
}

func (itemsByReflection) receive(source reflect.Value, done <-chan struct{}, send func(any) bool) {
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: source},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(done)},
	}
	for {
		item, ok := source.TryRecv() // costs far less; the item is valid if the channel is closed
		if !item.IsValid() {
			var chosen int
			if chosen, item, ok = reflect.Select(cases); chosen == 1 {
				return
			}
		}
		if !ok || !send(item.Interface()) {
			return
		}
	}
}

func (itemsByReflection) stream(source reflect.Value, shape resultShape, to *itemSink) {
	again, enough := []reflect.Value{reflect.ValueOf(true)}, []reflect.Value{reflect.ValueOf(false)}
	source.Call([]reflect.Value{reflect.MakeFunc(source.Type().In(0), func(in []reflect.Value) []reflect.Value {
		more := false
		if shape == seq2Result && !in[1].IsNil() {
			more = to.fail(in[1].Interface().(error))
		} else {
			more = to.put(in[0].Interface())
		}
		if more {
			return again
		}
		return enough
	})})
}

type reflectQueue struct {
	items reflect.Value // a channel
	next  reflect.Value // a variable
	fresh bool          // each item needs a variable of its own: methods of the user's decode it
}

func (q *reflectQueue) variable() any {
	if q.fresh {
		q.next = reflect.New(q.next.Type()).Elem()
	} else {
		q.next.SetZero()
	}
	return q.next.Addr().Interface()
}

func (q *reflectQueue) tryAdd() bool { return q.items.TrySend(q.next) }

func (q *reflectQueue) add(done, over <-chan struct{}) {
	reflect.Select([]reflect.SelectCase{
		{Dir: reflect.SelectSend, Chan: q.items, Send: q.next},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(done)},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(over)},
	})
}

func (q *reflectQueue) close() { q.items.Close() }

func (q *reflectQueue) argument(t reflect.Type, failure func() error) reflect.Value {
	if t.Kind() == reflect.Chan {
		return q.items.Convert(t)
	}
	return reflect.MakeFunc(t, func(in []reflect.Value) []reflect.Value {
		yield, list := in[0], []reflect.Value{{}, reflect.Zero(reflect.TypeFor[error]())}
		for {
			item, ok := q.items.Recv()
			if !ok {
				break
			}
			if list[0] = item; !yield.Call(list)[0].Bool() {
				return nil
			}
		}
		if err := failure(); err != nil {
			yield.Call([]reflect.Value{reflect.Zero(q.items.Type().Elem()), reflect.ValueOf(&err).Elem()})
		}
		return nil
	})
}
