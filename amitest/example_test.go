package amitest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/apn/ami/amitest"
)

func ExampleNewServer() {
	srv := amitest.NewServer()
	defer srv.Close()
	srv.Handle("Greet", func(c *amitest.Call) { c.Success("Hello " + c.Get("Name")) })

	conn, err := srv.DialContext(context.Background(), "tcp", srv.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "Action: Login\r\nUsername: admin\r\nSecret: secret\r\nEvents: off\r\n\r\n"+
		"Action: Greet\r\nActionID: 1\r\nName: World\r\n\r\n"+
		"Action: Logoff\r\n\r\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Println(strings.TrimSpace(lines.Text()))
	}
	fmt.Println("executed:", srv.Ledger()[1].Executed)
	// Output:
	// Asterisk Call Manager/11.0.0
	// Response: Success
	// Message: Authentication accepted
	//
	// Response: Success
	// ActionID: 1
	// Message: Hello World
	//
	// Response: Goodbye
	// Message: Thanks for all the fish.
	//
	// executed: true
}
