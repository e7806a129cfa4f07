package hubgen

import (
	"fmt"
	"strconv"
	"strings"
)

// handlers writes on, and once for the next call only, for each kind of handler
// that f may have.
func (g *cSharp) handlers(f function, on, once string) {
	var list []string
	for _, a := range f.args {
		list = append(list, g.typ(a.t))
	}
	kind := func(last string) string {
		return "Func<" + strings.Join(append(list[:len(list):len(list)], last), ", ") + ">"
	}
	if f.result != nil {
		const over = "throw new InvalidOperationException(\"has answered once\")"
		for _, k := range []string{kind(g.typ(f.result)), kind("Task<" + g.typ(f.result) + ">")} {
			g.handler(f, on, k)
			g.handlerOnce(f, on, once, k, over)
		}
		return
	}
	action := "Action"
	if len(list) > 0 {
		action += "<" + strings.Join(list, ", ") + ">"
	}
	g.handler(f, on, action)
	g.handlerOnce(f, on, once, action, "")
	g.handler(f, on, kind("Task"))
	g.handlerOnce(f, on, once, kind("Task"), "Task.CompletedTask")
}

func (g *cSharp) handler(f function, name, kind string) {
	g.doc("    ", f.doc)
	fmt.Fprintf(g, "    public static IDisposable %s(this HubConnection connection, %s handler) =>\n", name, kind)
	fmt.Fprintf(g, "        connection.On(%s, handler);\n\n", strconv.Quote(f.name))
}

// handlerOnce writes what handles one call. over is what a second call gets that was
// on its way already; "" for a handler that returns nothing.
func (g *cSharp) handlerOnce(f function, on, name, kind, over string) {
	arguments := "(" + strings.Join(argumentNames(f, csReserved+" once handler"), ", ") + ")"
	body := "once.Take() ? handler" + arguments + " : " + over
	if over == "" {
		body = "{ if (once.Take()) handler" + arguments + "; }"
	}
	g.doc("    ", strings.TrimSpace(f.doc+"\n\nHandles the next call only, unless what it returns is disposed before."))
	fmt.Fprintf(g, "    public static IDisposable %s(this HubConnection connection, %s handler)\n    {\n", name, kind)
	g.WriteString("        var once = new Once();\n")
	fmt.Fprintf(g, "        return once.Until(connection.%s((%s)(%s => %s)));\n    }\n\n", on, kind, arguments, body)
}

// register writes what takes an implementation of the interface client.
func (g *cSharp) register(m *model, client string, ons []string) {
	g.doc("    ", "Register makes client answer all calls of the server, until what it returns is disposed.")
	fmt.Fprintf(g, "    public static IDisposable Register(this HubConnection connection, %s client)\n    {\n", client)
	g.WriteString("        var all = new IDisposable[]\n        {\n")
	for i, f := range m.client {
		kind := "Func<"
		for _, a := range f.args {
			kind += g.typ(a.t) + ", "
		}
		fmt.Fprintf(g, "            connection.%s((%s%s>)client.%s),\n", ons[i], kind, g.answer(f), strings.TrimPrefix(ons[i], "On"))
	}
	g.WriteString(`        };
        return new Undo(() => Array.ForEach(all, one => one.Dispose()));
    }

`)
}

// answer is what an asynchronous handler of f returns.
func (g *cSharp) answer(f function) string {
	if f.result == nil {
		return "Task"
	}
	return "Task<" + g.typ(f.result) + ">"
}

// client writes the interface of all client methods, named as their ons.
func (g *cSharp) client(m *model, name string, ons []string) {
	g.WriteString("\n")
	g.doc("", "What the server calls. "+m.className()+"Extensions.Register takes an implementation.")
	fmt.Fprintf(g, "public interface %s\n{\n", name)
	for i, f := range m.client {
		if i > 0 {
			g.WriteString("\n")
		}
		names := argumentNames(f, csReserved)
		for j, a := range f.args {
			names[j] = g.typ(a.t) + " " + names[j]
		}
		g.doc("    ", f.doc)
		fmt.Fprintf(g, "    %s %s(%s);\n", g.answer(f), strings.TrimPrefix(ons[i], "On"), strings.Join(names, ", "))
	}
	g.WriteString("}\n")
}

// onceCS is what each OnceY is made of. The first call may come before On has
// returned, on another thread.
const onceCS = `
    private sealed class Once : IDisposable
    {
        private IDisposable? handler;
        private int over;

        public bool Take()
        {
            if (Interlocked.Exchange(ref over, 1) != 0) return false;
            Volatile.Read(ref handler)?.Dispose();
            return true;
        }

        public IDisposable Until(IDisposable registered)
        {
            Volatile.Write(ref handler, registered);
            if (Volatile.Read(ref over) != 0) registered.Dispose();
            return this;
        }

        public void Dispose() => Take();
    }
`
