package lsp

import "encoding/json"

// The messages of the protocol that are spoken here, with the fields that are read or
// written; names and numbers are those of the Language Server Protocol 3.17.

type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

type textRange struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

type location struct {
	URI   string    `json:"uri"`
	Range textRange `json:"range"`
}

type textDocument struct {
	URI     string `json:"uri"`
	Version *int   `json:"version,omitempty"`
	Text    string `json:"text,omitempty"`
}

type folder struct {
	URI  string `json:"uri"`
	Name string `json:"name"`
}

type initializeParams struct {
	RootURI      *string            `json:"rootUri"`
	RootPath     *string            `json:"rootPath"`
	Folders      []folder           `json:"workspaceFolders"`
	Options      json.RawMessage    `json:"initializationOptions"`
	Capabilities clientCapabilities `json:"capabilities"`
}

type initializeOptions struct {
	Root    string `json:"root"`    // the folder of the services, below that of the workspace
	Cluster string `json:"cluster"` // the folder with the configurations of its nodes, below that of the workspace
	Notes   bool   `json:"notes"`   // also show what is no mistake
}

type clientCapabilities struct {
	General struct {
		Encodings []encoding `json:"positionEncodings"`
	} `json:"general"`
	Workspace struct {
		Watched struct {
			Dynamic bool `json:"dynamicRegistration"`
		} `json:"didChangeWatchedFiles"`
	} `json:"workspace"`
	TextDocument struct {
		Completion struct {
			Item struct {
				Snippets bool `json:"snippetSupport"`
			} `json:"completionItem"`
		} `json:"completion"`
		Symbols struct {
			Nested bool `json:"hierarchicalDocumentSymbolSupport"`
		} `json:"documentSymbol"`
	} `json:"textDocument"`
}

// placeParams are those of every request about one place in one file.
type placeParams struct {
	Document textDocument `json:"textDocument"`
	Position position     `json:"position"`
	NewName  string       `json:"newName"` // of rename
	Context  struct {
		Declaration bool `json:"includeDeclaration"` // of references
	} `json:"context"`
}

type documentParams struct {
	Document textDocument `json:"textDocument"`
}

type changeParams struct {
	Document textDocument `json:"textDocument"`
	Changes  []struct {
		Range *textRange `json:"range"`
		Text  string     `json:"text"`
	} `json:"contentChanges"`
}

type foldersParams struct {
	Event struct {
		Added   []folder `json:"added"`
		Removed []folder `json:"removed"`
	} `json:"event"`
}

type actionParams struct {
	Document textDocument `json:"textDocument"`
	Range    textRange    `json:"range"`
}

type textEdit struct {
	Range textRange `json:"range"`
	Text  string    `json:"newText"`
}

type workspaceEdit struct {
	Changes map[string][]textEdit `json:"changes"`
}

type codeAction struct {
	Title       string         `json:"title"`
	Kind        string         `json:"kind"`
	Diagnostics []diagnostic   `json:"diagnostics"`
	Preferred   bool           `json:"isPreferred,omitempty"`
	Edit        *workspaceEdit `json:"edit"`
}

type diagnostic struct {
	Range    textRange `json:"range"`
	Severity int       `json:"severity"`
	Code     string    `json:"code"`
	Source   string    `json:"source"`
	Message  string    `json:"message"`
	Tags     []int     `json:"tags,omitempty"`
	Related  []related `json:"relatedInformation,omitempty"`
}

type related struct {
	Location location `json:"location"`
	Message  string   `json:"message"`
}

const (
	severityError   = 1
	severityWarning = 2
	severityHint    = 3 // "information": what is no mistake
	tagUnnecessary  = 1
	tagDeprecated   = 2
)

type diagnosticsParams struct {
	URI         string       `json:"uri"`
	Version     *int         `json:"version,omitempty"`
	Diagnostics []diagnostic `json:"diagnostics"`
}

type markup struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

func markdown(s string) *markup { return &markup{"markdown", s} }

type hover struct {
	Contents *markup    `json:"contents"`
	Range    *textRange `json:"range,omitempty"`
}

type completionList struct {
	Incomplete bool             `json:"isIncomplete"`
	Items      []completionItem `json:"items"`
}

type completionItem struct {
	Label  string    `json:"label"`
	Kind   int       `json:"kind"`
	Detail string    `json:"detail,omitempty"`
	Doc    *markup   `json:"documentation,omitempty"`
	Sort   string    `json:"sortText,omitempty"`
	Filter string    `json:"filterText,omitempty"`
	Format int       `json:"insertTextFormat"`
	Tags   []int     `json:"tags,omitempty"`
	Edit   *textEdit `json:"textEdit"`
}

const (
	itemFunction  = 3
	itemField     = 5
	itemVariable  = 6
	itemClass     = 7
	itemModule    = 9
	itemProperty  = 10
	itemKeyword   = 14
	itemFile      = 17
	itemReference = 18
	itemWord      = 20

	plainText     = 1
	snippetFormat = 2
)

type symbol struct {
	Name      string    `json:"name"`
	Detail    string    `json:"detail,omitempty"`
	Kind      int       `json:"kind"`
	Range     textRange `json:"range"`
	Selection textRange `json:"selectionRange"`
	Children  []symbol  `json:"children,omitempty"`
}

// flatSymbol is for clients that know no nesting.
type flatSymbol struct {
	Name      string   `json:"name"`
	Kind      int      `json:"kind"`
	Location  location `json:"location"`
	Container string   `json:"containerName,omitempty"`
}

const (
	symbolModule   = 2
	symbolProperty = 7
	symbolVariable = 13
	symbolConstant = 14
	symbolObject   = 19
	symbolEvent    = 24
)

type prepared struct {
	Range       textRange `json:"range"`
	Placeholder string    `json:"placeholder"`
}

type showMessage struct {
	Type    int    `json:"type"`
	Message string `json:"message"`
}
