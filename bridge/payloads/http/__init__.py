"""HTTP and WebSocket to real servers (docs/http.md).

where      what an open says of the server: socket or host, TLS
headers    what the front end may send, what the bridge adds, what it passes on
request    what an open of http-stream1 or http-stream2 asks for
head       the head of an answer, checked
framing    where the body of an answer ends
chunked    bodies in chunks
transport  bytes to and from a connected socket
connections  who may connect, and which connections are kept
dial       a channel's way to its connection
exchange   one request and its answer
stream     the makers of http-stream1 and http-stream2
accept     the handshake of a WebSocket
websocket  the maker of websocket-stream1, and one WebSocket
farewell   what is left of a WebSocket whose channel is closed
"""
