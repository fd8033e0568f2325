package action

import (
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// DBGet reads a key of Asterisk's database (main/db.c:manager_dbget): one
// DBGetResponse with the value in Val, or an Error if there is no such key.
// Privilege system or reporting.
type DBGet struct {
	Family string
	Key    string
}

// Name implements Action.
func (DBGet) Name() string { return "DBGet" }

// AppendFields implements Action.
func (a DBGet) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "DBGet", dst: dst}
	f.required("Family", a.Family)
	f.required("Key", a.Key)
	return f.done()
}

// Strategy implements Action.
func (DBGet) Strategy() strategy.Strategy { return strategy.ListOf("DBGetComplete") }
