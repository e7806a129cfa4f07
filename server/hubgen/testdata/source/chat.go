package source

// Line is one line of a chat.
type Line struct{}

var (
	receive = ClientMethod2[string, Line]("ReceiveMessage") // these, names, are, too, many

	// Ask asks one client.
	ask = ClientFunction1[string, bool]("Ask") // question
)

// Bye is the last word.
var bye = ClientMethod0("Bye") // not names: a comment

// Chat is a hub with every shape of method.
type Chat struct{}

// SendMessage tells everyone.
func (*Chat) SendMessage(call *Call, user, text string) error { return nil }

func (*Chat) History(limit int, class string) ([]Line, error) { return nil, nil }

// Counter counts to <count>.
func (*Chat) Counter(count int) <-chan int { return nil }

func (*Chat) Upload(call *Call, lines <-chan string) (int, error) { return 0, nil }
