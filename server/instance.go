package server

import (
	"fmt"
	"reflect"
)

// instances are the values of a hub that its methods are called on: one for all
// connections, or one for each (NewHubFunc). H is the type of the hub, or an
// interface that holds it.
type instances[H any] struct {
	one    H
	create func(*Call) (H, error) // not nil: one for each connection
}

// of returns the value for a call.
func (s *instances[H]) of(c *Call) H {
	if s.create == nil {
		return s.one
	}
	hub, _ := (*c.inv.conn.instance.Load()).(H)
	return hub
}

// name is the hub's Go type, for errors.
func (s *instances[H]) name() string {
	if s.create == nil {
		return fmt.Sprintf("%T", s.one)
	}
	return reflect.TypeFor[H]().String()
}

// prototype returns a value of the hub's type, whose methods can be read. It is
// not to be called.
func (s *instances[H]) prototype() reflect.Value {
	if s.create == nil {
		return reflect.ValueOf(s.one)
	}
	t := reflect.TypeFor[H]()
	if t.Kind() == reflect.Pointer {
		return reflect.New(t.Elem())
	}
	return reflect.Zero(t)
}

// check says why H cannot be the type of a hub that is made for each connection:
// its methods are planned before there is a value.
func (s *instances[H]) check() error {
	if t := reflect.TypeFor[H](); s.create != nil && t.Kind() == reflect.Interface {
		return fmt.Errorf("the function returns a %s; it must return the type whose methods clients call", t)
	}
	return nil
}

// creator returns what makes the value for a connection, or nil if there is one
// for all.
func (s *instances[H]) creator() func(*Call) (any, error) {
	if s.create == nil {
		return nil
	}
	return func(c *Call) (any, error) {
		hub, err := s.create(c)
		if err != nil {
			return nil, err
		}
		if v := reflect.ValueOf(hub); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, fmt.Errorf("server: the hub of a connection is a nil %T", hub)
		}
		return hub, nil
	}
}
