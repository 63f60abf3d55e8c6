service "y" {
	app "a" {
		comand	= ["/bin/true"]
		user	= 1000,
#	    	      ^ SV0101 unexpected comma after argument
	}
}
