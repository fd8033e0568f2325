// Package exported lists what a package exports, from its source. Tests that must
// miss nothing compare their tables with it.
package exported

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
)

// A Package is what the package in a folder exports.
type Package struct {
	// Types are the names of its types.
	Types []string
	// Options are its functions that return one of its function types, by name, with
	// the types of their parameters as they are written.
	Options map[string][]string
}

// Read reads the package in a folder, as it is built here, without its tests.
func Read(dir string) (*Package, error) {
	built, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	p := &Package{Options: make(map[string][]string)}
	makes := make(map[string]bool) // the function types
	var functions []*ast.FuncDecl
	for _, name := range built.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if t, ok := spec.(*ast.TypeSpec); ok && t.Name.IsExported() {
						p.Types = append(p.Types, t.Name.Name)
						_, makes[t.Name.Name] = t.Type.(*ast.FuncType)
					}
				}
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.IsExported() {
					functions = append(functions, d)
				}
			}
		}
	}
	for _, f := range functions {
		if results := f.Type.Results; results != nil && len(results.List) == 1 {
			if t, ok := results.List[0].Type.(*ast.Ident); ok && makes[t.Name] {
				p.Options[f.Name.Name] = parameters(f.Type)
			}
		}
	}
	slices.Sort(p.Types)
	return p, nil
}

func parameters(f *ast.FuncType) (types []string) {
	for _, field := range f.Params.List {
		for range max(1, len(field.Names)) {
			types = append(types, written(field.Type))
		}
	}
	return types
}

// written returns a type as it stands in the source, if it is a simple one.
func written(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.SelectorExpr:
		return written(t.X) + "." + t.Sel.Name
	default:
		return "…"
	}
}
