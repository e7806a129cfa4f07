package server

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// A HubTypeError says why a Go type, or its options, cannot be a hub.
type HubTypeError struct {
	Type string  // the Go type, as fmt's %T prints it
	Errs []error // the reasons, at least one
}

// newHubTypeError returns nil if there are no errors in errs.
func newHubTypeError(of string, errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return &HubTypeError{Type: of, Errs: errs}
}

func (e *HubTypeError) Error() string {
	return "server: " + e.Type + ": " + errors.Join(e.Errs...).Error()
}

// Unwrap returns the single reasons.
func (e *HubTypeError) Unwrap() []error { return e.Errs }

func (o *Options) check() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	errs = append(errs, checkDurations("", *o)...)
	errs = append(errs, checkSizes("", *o, "MaximumParallelInvocationsPerClient", "StreamBufferCapacity")...)
	if o.StreamBufferCapacity > 1<<20 {
		wrong("StreamBufferCapacity is %d, the most is %d", o.StreamBufferCapacity, 1<<20)
	}
	if alive, silent := o.KeepAliveInterval, duration(o.ClientTimeoutInterval, 30*time.Second); alive > 0 && alive >= silent {
		wrong("KeepAliveInterval is %v, but ClientTimeoutInterval only %v: the first must be the shorter one", alive, silent)
	}
	if p := o.SlowClients; p != CloseSlow && p != DropOldest {
		wrong("SlowClients is %d, must be CloseSlow or DropOldest", p)
	}
	if q := o.QueueLimit; q != nil && q.limit == nil {
		wrong("QueueLimit has no limit; make it with NewQueueLimit")
	}
	if r := o.RateLimit; r != nil && r.users == nil {
		errs = append(errs, errEmptyRateLimit)
	}
	errs = append(errs, o.checkProtocols()...)
	if m := o.LifetimeManager; m != nil {
		if v := reflect.ValueOf(m); v.Kind() == reflect.Pointer && v.IsNil() {
			wrong("LifetimeManager is a nil %T", m)
		} else if other := managers.owner(m); other != nil {
			errs = append(errs, errManagerTaken(other))
		}
	}
	errs = append(errs, o.checkSessions()...)
	return append(errs, o.Endpoint.check("Endpoint.")...)
}

var errEmptyRateLimit = errors.New("RateLimit is empty; make it with NewRateLimit")

func errManagerTaken(by *Hub) error {
	return fmt.Errorf("LifetimeManager serves the hub %s already; each hub needs its own", by.methods.typeName)
}

func (o *Options) checkProtocols() (errs []error) {
	if o.Protocols != nil && len(o.Protocols) == 0 {
		return []error{errors.New("there are no supported protocols")}
	}
	names := map[string]bool{}
	for i, codec := range o.Protocols {
		codec, err := guarded(codec)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("Protocols[%d]: %w", i, err))
			continue
		case codec.Name() == "":
			errs = append(errs, fmt.Errorf("Protocols[%d] has no name", i))
		case names[strings.ToLower(codec.Name())]:
			errs = append(errs, fmt.Errorf("Protocols[%d] is a second one with the name %q", i, codec.Name()))
		}
		names[strings.ToLower(codec.Name())] = true
	}
	return errs
}

// check reports what is wrong with e; in comes before the names of options.
func (e EndpointOptions) check(in string) (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(in+format, args...)) }
	errs = append(errs, checkDurations(in, e)...)
	errs = append(errs, checkSizes(in, e, "MaximumConnections")...)
	if a := e.Admission; a != nil {
		if a.queue == nil {
			wrong("Admission is empty; make it with NewAdmission")
		}
		errs = append(errs, checkDurations(in+"Admission.", a.opts)...)
	}
	if v := e.MinimumProtocolVersion; v < 0 || v > 1 {
		wrong("MinimumProtocolVersion is %d, must be 0 or 1", v)
	}
	if unknown := e.AllowedTransports &^ Transport(transport.All); unknown != 0 {
		wrong("AllowedTransports has unknown transports (%#x)", uint8(unknown))
	}
	for _, text := range e.AllowedOrigins {
		if err := transport.CheckOrigin(text); err != nil {
			wrong("AllowedOrigins: %w", err)
		}
	}
	if e.AllowStatefulReconnects && e.AllowedTransports != 0 && e.AllowedTransports&WebSockets == 0 {
		wrong("AllowStatefulReconnects needs WebSockets among AllowedTransports")
	}
	if e.OnAuthenticationRefresh != nil && !e.EnableAuthenticationRefresh {
		wrong("OnAuthenticationRefresh needs EnableAuthenticationRefresh")
	}
	return errs
}

// leastDuration is what options are at least. A time.Duration is made of
// nanoseconds: one of 15 is 15 seconds without the unit.
const leastDuration = time.Millisecond

// checkDurations looks at every field of options that is a time.Duration.
func checkDurations(in string, options any) (errs []error) {
	v := reflect.ValueOf(options)
	for i := range v.NumField() {
		if d, ok := v.Field(i).Interface().(time.Duration); ok && d > 0 && d < leastDuration {
			errs = append(errs, fmt.Errorf("%s%s is %v; is its unit missing, as in 15 * time.Second?", in, v.Type().Field(i).Name, d))
		}
	}
	return errs
}

// checkSizes looks at the integer fields of options that are named: a negative
// value means nothing to them.
func checkSizes(in string, options any, names ...string) (errs []error) {
	for _, name := range names {
		if n := reflect.ValueOf(options).FieldByName(name).Int(); n < 0 {
			errs = append(errs, fmt.Errorf("%s%s is %d, must not be negative", in, name, n))
		}
	}
	return errs
}
