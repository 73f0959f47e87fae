import json,glob,re,sys
import numpy as np
from harness import *
key=json.load(open("key.json"))
lab={}
helper={}
for h in range(8):
    for l in open(f"label/{h}/labels.txt"):
        k,s,l_=l.split(); lab[k]=(float(s),float(l_)); helper[k]=h
P={}
ALL={}
for s in ["ulab_llmrouter","mmlu_pro","routellm_mmlu","zeroeval_gsm","zeroeval_math_l5","zeroeval_crux","prompts_arena_hard_v0.1","prompts_code_alpaca_2k","prompts_humaneval"]:
    for r in rows(s): ALL[s,r["id"]]=(r["prompt"],r.get("subset"))
data=[]
for k,(s,i) in key.items():
    p,sub=ALL[s,i]
    g=s if s!="ulab_llmrouter" else "ulab:"+sub
    data.append((s,g,p,*lab[k],helper[k]))
if __name__=="__main__":
    import collections
    by=collections.defaultdict(list)
    for d in data: by[d[1]].append((d[3],d[4]-d[3],len(d[2])))
    for g,v in sorted(by.items()):
        v=np.array(v); print(f"{g:30s} n {len(v):4d} s {v[:,0].mean():5.1f}±{v[:,0].std():4.1f} gain {v[:,1].mean():5.1f}±{v[:,1].std():4.1f} corr(len,gain) {np.corrcoef(np.log(v[:,2]),v[:,1])[0,1]:.2f}")
    hh=collections.defaultdict(list)
    for d in data: hh[d[5]].append((d[3],d[4]-d[3]))
    for h,v in sorted(hh.items()): v=np.array(v); print(h,v.mean(0),v.std(0))
