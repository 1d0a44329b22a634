"""The torture run: real processes under a seeded nemesis, judged by checkers that share no code with the product.

python -m tests.torture --log postgres --seed 1 --size ci --report report.md
"""
