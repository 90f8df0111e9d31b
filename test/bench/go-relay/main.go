// A Minecraft router that does as little as one can: it reads the hostname of the handshake, dials what MAPPING names for it,
// and copies. io.Copy between two TCP connections is splice(2). It takes mc-router's PORT and MAPPING (host=address,...).
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"strings"
)

var routes = map[string]string{}

func main() {
	for _, route := range strings.Split(os.Getenv("MAPPING"), ",") {
		host, address, _ := strings.Cut(route, "=")
		routes[host] = address
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(client.(*net.TCPConn))
	}
}

func serve(client *net.TCPConn) {
	defer client.Close()
	var seen bytes.Buffer
	host, err := readHost(bufio.NewReader(io.TeeReader(client, &seen)))
	if err != nil {
		return
	}
	dialled, err := net.Dial("tcp", routes[host])
	if err != nil {
		return
	}
	backend := dialled.(*net.TCPConn)
	defer backend.Close()
	if _, err := backend.Write(seen.Bytes()); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		io.Copy(backend, client)
		backend.CloseWrite()
		close(done)
	}()
	io.Copy(client, backend)
	client.CloseWrite()
	<-done
}

// readHost reads a handshake: length, packet id 0, protocol, host (https://minecraft.wiki/w/Java_Edition_protocol).
func readHost(from *bufio.Reader) (string, error) {
	var length uint64
	for range 4 {
		value, err := binary.ReadUvarint(from)
		if err != nil {
			return "", err
		}
		length = value
	}
	if length > 255 {
		return "", errors.New("no hostname")
	}
	host := make([]byte, length)
	_, err := io.ReadFull(from, host)
	return string(host), err
}
