package transport

// usualTexts are what the requests that open WebSockets consist of: their methods,
// and the names and values of their headers, as browsers and the official clients
// send them. The place of each is a part of a packed request, which never leaves
// its process.
var usualTexts = [...]string{
	"", "GET", "CONNECT", "HTTP/1.1", "HTTP/2.0",
	"Connection", "Upgrade", "keep-alive, Upgrade", "websocket",
	"Sec-Websocket-Key", "Sec-Websocket-Version", "13",
	"Sec-Websocket-Extensions", "permessage-deflate; client_max_window_bits", "permessage-deflate",
	"Origin", "Cookie", "Authorization", "User-Agent", "X-Signalr-User-Agent",
	"X-Requested-With", "XMLHttpRequest",
	"Accept", "*/*", "Accept-Encoding", "gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate", "gzip",
	"Accept-Language", "Cache-Control", "Pragma", "no-cache",
	"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "empty", "same-origin", "same-site", "cross-site",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "http", "https",
}

// placeOfUsual is where in usualTexts a text is.
var placeOfUsual = func() map[string]int {
	places := make(map[string]int, len(usualTexts))
	for i, s := range usualTexts {
		places[s] = i
	}
	return places
}()
