"""`make run`.

The functions' processes import the program's main module too, under another name. This one costs them nothing.
"""

if __name__ == "__main__":
    from local.instance import main

    main()
