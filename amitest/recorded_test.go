package amitest_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/apn/ami/amitest"
)

// The fake answers the recorded clients as the real servers did.
func TestRecordedConversations(t *testing.T) {
	limited := amitest.User{Name: "limited", Secret: "limited1", Write: amitest.ClassCall}
	single := amitest.User{Name: "single", Secret: "single1", SingleLogin: true}
	tests := map[string]func(t *testing.T, srv *amitest.Server){
		"1-login-ok":                     nil,
		"1-login-wrong-secret":           nil,
		"1-login-unknown-user":           nil,
		"1-login-no-username":            nil,
		"1-login-md5-wrong":              nil,
		"1-preauth-actions":              nil,
		"2-ping":                         nil,
		"2-coresettings":                 nil,
		"2-command-unknown":              nil,
		"2-command-restricted":           nil,
		"3-coreshowchannels-0":           nil,
		"3-status-0":                     nil,
		"3-status-nochannel":             nil,
		"3-queuestatus-unknown":          nil,
		"3-confbridgelist-nosuch":        nil,
		"3-iaxpeers":                     nil,
		"3-iaxnetstats":                  nil,
		"3-dbget":                        put("k1", "value: with colon"),
		"3-dbget-nosuch":                 nil,
		"3-dbgettree":                    putTree,
		"3-waitevent":                    nil,
		"3-events-action":                nil,
		"3-showdialplan-one":             nil,
		"4-originate-async-eventsoff":    nil,
		"4-originate-bad-exten":          nil,
		"4-originate-sync-blocks-ping":   nil,
		"4-logoff-pipelined":             nil,
		"4-userevent":                    nil,
		"5-errors":                       nil,
		"5-long-header-1024":             nil,
		"5-many-headers":                 nil,
		"5-suppressevents-actionid-none": nil,
		"9-v18-db":                       nil,
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := []amitest.Option{
					amitest.WithUser(bench), amitest.WithUser(limited), amitest.WithUser(single),
					amitest.WithDial(recordedDial),
					amitest.WithTimestamps(), amitest.WithSystemName("node1"), amitest.WithSecurityEvents(),
				}
				if name == "9-v18-db" {
					opts = append(opts, amitest.WithVersion("7.0.3", "18.26.4"), amitest.WithSystemName("node6"))
				}
				srv := amitest.NewServer(opts...)
				defer srv.Close()
				if prepare != nil {
					prepare(t, srv)
				}
				converse(t, name, srv)
			})
		})
	}
}

func put(key, val string) func(t *testing.T, srv *amitest.Server) {
	return func(t *testing.T, srv *amitest.Server) {
		p := dial(t, srv)
		p.write("Action: Login\r\nUsername: admin\r\nSecret: s3cr3t-Adm1n\r\nEvents: off\r\n\r\n" +
			"Action: DBPut\r\nFamily: fam\r\nKey: " + key + "\r\nVal: " + val + "\r\n\r\nAction: Logoff\r\n\r\n")
		p.rest()
	}
}

func putTree(t *testing.T, srv *amitest.Server) {
	put("k1", "value: with colon")(t, srv)
	put("k2", "")(t, srv)
	put("sub/k3", "日本語")(t, srv)
}

// recordedDial is the dial plan of the recordings, as far as they need it.
func recordedDial(channel string) amitest.Dial {
	if strings.Contains(channel, "/105@") {
		return amitest.Dial{Reason: amitest.ReasonNoAnswer}
	}
	return amitest.DefaultDial(channel)
}
