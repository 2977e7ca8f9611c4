"""python train.py task=mnli target=7.5x  (python train.py --help)"""

from lada.run.main import main

if __name__ == "__main__":
    main()
